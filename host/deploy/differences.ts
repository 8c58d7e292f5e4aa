import type { App } from '../../domain/app.ts';
import type { DeployedSpec } from '../engine/services.ts';
import { withExposedEnv } from '../prepare/exposed-env.ts';
import type { PreparedRecipe } from '../prepare/prepare.ts';
import { isMapping, scalarText, type ComposeFile } from '../recipe-format/compose.ts';

/** What names the release in the environment, in one form or another. */
const OF_RELEASE = new Set(['TYPE', 'RECIPE']);

/**
 * In what that which runs is another than what would be deployed, as far as an operator chose it: its services and their
 * environment, where abra has the versions of secrets and the names of compose files, too. Names alone, since values may
 * be secret. None where nothing is.
 */
export function differences(
  app: App,
  recipe: Pick<PreparedRecipe, 'files' | 'env' | 'services'>,
  running: readonly DeployedSpec[],
): string[] {
  const files = withExposedEnv(recipe.files, recipe.env, app);
  const wanted = recipe.services.map(({ name }) => name);
  const runs = running.map(({ name }) => name);
  const told = (what: string, names: readonly string[]): string[] =>
    names.length === 0 ? [] : [`${what}: ${names.join(', ')}`];
  return [
    ...told('services that do not run', without(wanted, runs)),
    ...told('services that the release does not have', without(runs, wanted)),
    ...running
      .filter(({ name }) => wanted.includes(name))
      .flatMap(({ name, environment }) => {
        const asked = environmentIn(files, name);
        const names = [...new Set([...asked.keys(), ...environment.keys()])].sort();
        const other = names.filter(
          (variable) => !OF_RELEASE.has(variable) && asked.get(variable) !== environment.get(variable),
        );
        return told(`environment of ${name}`, other);
      }),
  ];
}

function without(some: readonly string[], others: readonly string[]): string[] {
  return some.filter((one) => !others.includes(one));
}

/** What a service's environment would be; a variable without a value is left to the engine's client, which has none. */
function environmentIn(files: readonly ComposeFile[], service: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const { compose } of files) {
    const { services } = compose;
    const written = isMapping(services) ? services[service] : null;
    const environment = isMapping(written) ? written['environment'] : null;
    const entries = isMapping(environment)
      ? Object.entries(environment).map(([name, value]) => [name, value] as const)
      : (Array.isArray(environment) ? (environment as unknown[]) : []).map((item) => {
          const [, name = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(String(item)) ?? [];
          return [name, value] as const;
        });
    for (const [name, value] of entries) {
      if (value !== null && value !== undefined) found.set(name, scalarText(value));
    }
  }
  return found;
}
