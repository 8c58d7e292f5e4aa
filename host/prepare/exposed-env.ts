import type { App } from '../../domain/app.ts';
import { isMapping, type ComposeFile, type Mapping } from '../recipe-format/compose.ts';

const MAIN_SERVICE = 'app';

/**
 * The compose files with the whole of the app's env in the environment of its main service, under what stands there,
 * as abra deploys them (pkg/app, ExposeAllEnv): an image, an entrypoint or a command of the recipe may count on it.
 * TYPE and RECIPE name the release that is deployed.
 */
export function withExposedEnv(
  files: readonly ComposeFile[],
  env: ReadonlyMap<string, string>,
  { recipe, version }: Pick<App, 'recipe' | 'version'>,
): ComposeFile[] {
  const set = new Set(files.flatMap(({ compose }) => variablesIn(mainOf(compose)?.['environment'])));
  const release = version === null ? recipe : `${recipe}:${version}`;
  const exposed = [...env]
    .filter(([name]) => !set.has(name))
    .map(([name, value]) => [name, name === 'TYPE' || name === 'RECIPE' ? release : value] as const);
  const first = files.findIndex(({ compose }) => mainOf(compose) !== null);
  return files.map((file, index) => {
    const main = mainOf(file.compose);
    if (index !== first || main === null) return file;
    const { environment } = main;
    const all = Array.isArray(environment)
      ? [...exposed.map(([name, value]) => `${name}=${value}`), ...(environment as unknown[])]
      : { ...Object.fromEntries(exposed), ...(isMapping(environment) ? environment : {}) };
    const services = {
      ...(file.compose['services'] as Mapping),
      [MAIN_SERVICE]: { ...main, environment: all },
    };
    return { ...file, compose: { ...file.compose, services } };
  });
}

function mainOf({ services }: Mapping): Mapping | null {
  const main = isMapping(services) ? services[MAIN_SERVICE] : null;
  return isMapping(main) ? main : null;
}

function variablesIn(environment: unknown): string[] {
  if (isMapping(environment)) return Object.keys(environment);
  return (Array.isArray(environment) ? (environment as unknown[]) : []).flatMap((item) =>
    typeof item === 'string' ? [item.replace(/=.*$/s, '')] : [],
  );
}
