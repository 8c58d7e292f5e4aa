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
}

/** What the names of a dependency's variables begin with. */
export function dependencyPrefix(recipe: string): string {
  return `DEP_${recipe.replaceAll('-', '_').toUpperCase()}`;
}

/** The names under which env values and hooks know a dependency. */
export function dependencyVariables(dependencies: readonly ProvidedDependency[]): Record<string, string> {
  return Object.fromEntries(
    dependencies.flatMap(({ recipe, domain, stack, url }) => {
      const prefix = dependencyPrefix(recipe);
      return [
        [`${prefix}_DOMAIN`, domain],
        [`${prefix}_STACK_NAME`, stack],
        [`${prefix}_URL`, url],
      ];
    }),
  );
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
