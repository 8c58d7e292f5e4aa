import type { Realm } from './realm.ts';

/**
 * An app that another one needs, as that one is told of it. Whether it was deployed for the run, or is a shared
 * live one with a namespace for the run, is the provider's business.
 */
export interface ProvidedDependency {
  recipe: string;
  version: string | null;
  domain: string;
  stack: string;
  /** Where it is asked, as in https://gite-1a2b3c.ci.example.org. */
  url: string;
  /** What was made for the run in it, where it is a Keycloak. */
  realm?: Realm;
}

/** What the names of a dependency's variables begin with. */
export function dependencyPrefix(recipe: string): string {
  return `DEP_${recipe.replaceAll('-', '_').toUpperCase()}`;
}

/** The names under which env values and hooks know a dependency. */
export function dependencyVariables(dependencies: readonly ProvidedDependency[]): Record<string, string> {
  return Object.fromEntries(
    dependencies.flatMap(({ recipe, domain, stack, url, realm }) => {
      const prefix = dependencyPrefix(recipe);
      return [
        [`${prefix}_DOMAIN`, domain],
        [`${prefix}_STACK_NAME`, stack],
        [`${prefix}_URL`, url],
        ...(realm === undefined
          ? []
          : [
              [`${prefix}_REALM`, realm.name],
              [`${prefix}_ISSUER`, realm.issuer],
              [`${prefix}_CLIENT_ID`, realm.clientId],
              [`${prefix}_USER`, realm.user],
            ]),
      ];
    }),
  );
}

/** What a realm's client and user prove by who they are. */
export interface RealmSecrets {
  clientSecret: string;
  password: string;
}

/** The names under which hooks and checks alone know the secrets of a dependency's realm: no env value has them. */
export function secretVariables(recipe: string, secrets: RealmSecrets): Record<string, string> {
  const prefix = dependencyPrefix(recipe);
  return { [`${prefix}_CLIENT_SECRET`]: secrets.clientSecret, [`${prefix}_PASSWORD`]: secrets.password };
}

/** `${DEP_GITEA_DOMAIN}` and the like, written out in the values of env; everything else stays as it is. */
export function withDependencies(
  env: Readonly<Record<string, string>>,
  dependencies: readonly ProvidedDependency[],
): Record<string, string> {
  const known = new Map(Object.entries(dependencyVariables(dependencies)));
  return Object.fromEntries(
    Object.entries(env).map(([name, value]) => [
      name,
      value.replaceAll(
        /\$\{(DEP_[A-Z0-9_]+)\}/g,
        (written, variable: string) => known.get(variable) ?? written,
      ),
    ]),
  );
}
