import { CONTAINER_PATHS, containerPaths, isWithin, saysYes } from '../../domain/backup-plan.ts';
import type { LintProblem } from '../../domain/level.ts';
import { quotableLine } from '../../domain/printable.ts';
import type { App } from '../../domain/app.ts';
import { openCheckout } from '../recipe-format/checkout.ts';
import { isMapping, type ComposeSource, type Mapping } from '../recipe-format/compose.ts';
import { labelsOf } from '../recipe-format/labels.ts';
import { earlyVariables, saidOf } from '../recipe-format/literals.ts';
import { publishedPorts } from '../recipe-format/ports.ts';
import { pathed, RecipeProblem, type Key, type Place } from '../recipe-format/problem.ts';
import { readRecipe, wholeFile, type RecipeFiles } from '../recipe-format/read.ts';
import { externalKeys } from '../recipe-format/render.ts';
import { tooLongNames } from '../secrets/needed.ts';
import { sharedNames } from './shared-names.ts';

/**
 * The rules of good recipes, in the spirit of `abra recipe lint`: what does not keep a release from working, and
 * will bite whoever keeps it or upgrades it later.
 */
export const LINT_RULES = {
  'app-missing': 'a service is called app',
  'backup-path-off-volume':
    'each path of backupbot.backup.path is on a volume, since nothing else is archived',
  'backup-twice': 'backupbot.backup=true stands on one service: the specification knows one switch for all',
  'config-unversioned': 'the name of each config has a version that abra.sh exports, so that it can change',
  'dependency-undefined': 'depends_on names services that there are, though a swarm does not look at it',
  'env-sample-missing': 'there is an .env.sample',
  'healthcheck-missing': 'each service has a healthcheck',
  'image-tag-missing': 'each image has a tag or a digest',
  'image-tag-unstable': 'no tag is one that moves, as latest and stable do',
  'image-tag-without-version': 'each tag begins with a version, as in 1.25.5-alpine',
  'readme-missing': 'there is a README.md',
  'release-notes-missing': 'there are release notes, release/<version>',
  'schema-version-missing': 'each compose file says its version',
  'secret-name-too-long': "the name of each secret, the stack's before it, is within docker's 64 characters",
  'shared-name': 'a service on the network proxy asks for ${STACK_NAME}_app, since all apps there are app',
  'traefik-disabled': 'an app with a domain is enabled at traefik, or publishes a port',
  unreadable: 'the files can be read',
  'variable-too-early':
    'no variable stands for a number or a duration, which abra checks before it replaces it',
  'version-label-wrong': 'the version label on app says the release',
} as const;

export type LintRule = keyof typeof LINT_RULES;

/** A release's files, as far as the rules ask for them. */
export interface LintedFiles extends Pick<RecipeFiles, 'sample' | 'exported' | 'written' | 'files'> {
  stack: string;
  /** Null for a commit that no tag names. */
  version: string | null;
}

/** What the rules find in the release in `app.checkout`. An overlay of ours is no part of it. */
export async function lintCheckout(
  app: Pick<App, 'recipe' | 'checkout' | 'domain' | 'stack' | 'env' | 'version' | 'lifetime'>,
): Promise<LintProblem[]> {
  const checkout = await openCheckout(app.checkout);
  const has = async (file: string): Promise<boolean> =>
    checkout.resolve(file, wholeFile(file)).then(
      () => true,
      (error: unknown) => {
        if (error instanceof RecipeProblem) return false;
        throw error;
      },
    );
  const found: LintProblem[] = [];
  if (!(await has('README.md'))) {
    found.push(problem('readme-missing', wholeFile('README.md'), 'the recipe has none'));
  }
  const notes = `release/${app.version}`;
  if (app.version !== null && !(await has(notes))) {
    found.push(problem('release-notes-missing', wholeFile(notes), 'the release has no notes'));
  }
  if (!(await has('.env.sample'))) {
    return [...found, problem('env-sample-missing', wholeFile('.env.sample'), 'the recipe has none')];
  }
  try {
    const files = await readRecipe(app);
    const shared = (await sharedNames(files)).map(({ place, said }) =>
      problem(
        'shared-name',
        place,
        `${JSON.stringify(said)} may be another app's on the network proxy: say \${STACK_NAME}_app`,
      ),
    );
    return [...found, ...lintRelease({ ...files, stack: app.stack, version: app.version }), ...shared];
  } catch (error) {
    if (!(error instanceof RecipeProblem)) throw error;
    return [...found, problem('unreadable', error.place, error.what)];
  }
}

/** What the rules find in a release's compose files. */
export function lintRelease(release: LintedFiles): LintProblem[] {
  const services = servicesOf(release.files);
  return [
    ...schemaVersions(release),
    ...(services.has('app') ? [] : [problem('app-missing', topOf(release), 'no service is called app')]),
    ...versionLabel(release),
    ...traefik(release),
    ...backup(release, services),
    ...[...services.values()].flatMap((service) => dependencies(service, services)),
    ...[...services.values()].flatMap(healthcheck),
    ...[...services.values()].flatMap(image),
    ...configs(release),
    ...secrets(release),
    ...earlyVariables(release.written).map((early) =>
      problem('variable-too-early', early.place, saidOf(early)),
    ),
  ];
}

function problem(rule: LintRule, { file, line, path }: Place, what: string): LintProblem {
  return { rule, file: quotableLine(file), line, what: quotableLine(pathed(path, what)) };
}

function topOf({ files }: LintedFiles): Place {
  return files[0]?.at('services') ?? wholeFile('compose.yml');
}

/** What the files together say of a service: each key as the last file has it. */
interface LintedService {
  name: string;
  keys: Map<string, { value: unknown; place: Place }>;
  place: Place;
}

function servicesOf(files: readonly ComposeSource[]): Map<string, LintedService> {
  const services = new Map<string, LintedService>();
  for (const { compose, at } of files) {
    for (const [name, value] of sectionOf(compose, 'services')) {
      const service = services.get(name) ?? { name, keys: new Map(), place: at('services', name) };
      services.set(name, service);
      for (const [key, said] of Object.entries(value)) {
        service.keys.set(key, { value: said, place: at('services', name, key) });
      }
    }
  }
  return services;
}

function sectionOf(compose: Mapping, kind: 'services' | 'configs'): [string, Mapping][] {
  const written = compose[kind];
  return Object.entries(isMapping(written) ? written : {}).map(([key, value]) => [
    key,
    isMapping(value) ? value : {},
  ]);
}

function schemaVersions({ files }: LintedFiles): LintProblem[] {
  return files.flatMap(({ compose, name }) =>
    'version' in compose
      ? []
      : [
          problem(
            'schema-version-missing',
            wholeFile(name),
            "says no version of the compose format: version: '3.8'",
          ),
        ],
  );
}

interface Label {
  service: string;
  name: string;
  value: string;
  place(): Place;
}

/** The deploy labels of each file. */
function labelsIn(files: readonly ComposeSource[]): Label[] {
  return files.flatMap(({ compose, at }) =>
    sectionOf(compose, 'services').flatMap(([service, { deploy }]) => {
      const written = isMapping(deploy) ? deploy['labels'] : undefined;
      const items: [Key, unknown][] = Array.isArray(written)
        ? [...(written as unknown[]).entries()].map(([index, item]) => [index, [item]])
        : Object.entries(isMapping(written) ? written : {}).map(([name, value]) => [name, { [name]: value }]);
      return items.flatMap(([key, item]) =>
        [...labelsOf(item)].map(([name, value]) => ({
          service,
          name,
          value,
          place: () => at('services', service, 'deploy', 'labels', key),
        })),
      );
    }),
  );
}

function versionLabel({ version, stack, files }: LintedFiles): LintProblem[] {
  if (version === null || !files.some(({ compose }) => hasService(compose, 'app'))) return [];
  const rule = 'version-label-wrong';
  const label = `coop-cloud.${stack}.version`;
  const found = labelsIn(files).findLast(({ service, name }) => service === 'app' && name === label);
  if (found === undefined) {
    return [problem(rule, placeOfLabels(files), `no label coop-cloud.\${STACK_NAME}.version=${version}`)];
  }
  if (found.value === version) return [];
  return [problem(rule, found.place(), `says ${found.value}, and the release is ${version}`)];
}

function hasService(compose: Mapping, service: string): boolean {
  return sectionOf(compose, 'services').some(([name]) => name === service);
}

function placeOfLabels(files: readonly ComposeSource[]): Place {
  const file = files.find(({ compose }) => hasService(compose, 'app'));
  return file?.at('services', 'app', 'deploy', 'labels') ?? wholeFile('compose.yml');
}

function traefik({ sample, files }: LintedFiles): LintProblem[] {
  if (sample.at('DOMAIN').line === null || publishedPorts(files).length > 0) return [];
  const enabled = labelsIn(files).some(({ name, value }) => name === 'traefik.enable' && value === 'true');
  if (enabled || !files.some(({ compose }) => hasService(compose, 'app'))) return [];
  const what = 'no service has traefik.enable=true, so nobody finds the app at its domain';
  return [problem('traefik-disabled', placeOfLabels(files), what)];
}

function backup({ files }: LintedFiles, services: ReadonlyMap<string, LintedService>): LintProblem[] {
  const labels = labelsIn(files);
  const [, ...again] = labels.filter(({ name, value }) => name === 'backupbot.backup' && saysYes(value));
  // In the older form each service answers for itself.
  const older = labels.some(({ name }) => name === CONTAINER_PATHS);
  const twice = older
    ? []
    : again.map(({ place }) => problem('backup-twice', place(), 'another service has it already'));
  const off = labels
    .filter(({ name }) => name === CONTAINER_PATHS)
    .flatMap(({ service, value, place }) => {
      const targets = mountTargets(services.get(service));
      return containerPaths(value)
        .filter((path) => !targets.some((target) => isWithin(path, target) || isWithin(target, path)))
        .map((path) =>
          problem('backup-path-off-volume', place(), `${path} is on no volume: it is never archived`),
        );
    });
  return [...twice, ...off];
}

/** Where a service's volumes are in its container. */
function mountTargets(service: LintedService | undefined): string[] {
  const written = service?.keys.get('volumes')?.value;
  return (Array.isArray(written) ? (written as unknown[]) : []).flatMap((mount) => {
    if (typeof mount === 'string') return [mount.split(':')[1] ?? ''].filter((target) => target !== '');
    return isMapping(mount) && typeof mount['target'] === 'string' ? [mount['target']] : [];
  });
}

function dependencies({ keys }: LintedService, services: ReadonlyMap<string, LintedService>): LintProblem[] {
  const written = keys.get('depends_on');
  if (written === undefined) return [];
  const { value, place } = written;
  const names = Array.isArray(value) ? value.map(String) : Object.keys(isMapping(value) ? value : {});
  return names
    .filter((name) => !services.has(name))
    .map((name) => problem('dependency-undefined', place, `${JSON.stringify(name)} is no service`));
}

function healthcheck({ keys, place }: LintedService): LintProblem[] {
  const written = keys.get('healthcheck');
  const off = isMapping(written?.value) && written.value['disable'] === true;
  if (written !== undefined && !off) return [];
  const what = off ? 'is turned off, so the swarm takes whatever runs for healthy' : 'has no healthcheck';
  return [problem('healthcheck-missing', written?.place ?? place, what)];
}

/** Tags that name another image tomorrow. */
const UNSTABLE_TAGS = new Set([
  'canary',
  'current',
  'dev',
  'develop',
  'edge',
  'latest',
  'lts',
  'main',
  'mainline',
  'master',
  'next',
  'nightly',
  'rolling',
  'stable',
  'testing',
  'unstable',
]);

function image({ keys }: LintedService): LintProblem[] {
  const written = keys.get('image');
  if (typeof written?.value !== 'string') return [];
  const shown = JSON.stringify(written.value);
  if (written.value.includes('@')) return [];
  const [, tag = ''] = /:([^/:]*)$/.exec(written.value) ?? [];
  if (tag === '') {
    return [problem('image-tag-missing', written.place, `${shown} has no tag: which version is it?`)];
  }
  const [first = ''] = tag.toLowerCase().split(/[-_.]/);
  if (UNSTABLE_TAGS.has(first)) {
    return [
      problem('image-tag-unstable', written.place, `${shown} is another image tomorrow: name a version`),
    ];
  }
  if (/^v?\d/i.test(tag)) return [];
  return [problem('image-tag-without-version', written.place, `the tag of ${shown} begins with no version`)];
}

function configs({ written, exported }: LintedFiles): LintProblem[] {
  return written.flatMap(({ compose, at }) => {
    const outside = new Set(externalKeys(compose, 'configs'));
    return sectionOf(compose, 'configs').flatMap(([key, { name, file }]) => {
      if (outside.has(key) || file === undefined) return [];
      const text = typeof name === 'string' ? name : '';
      const variables = [...text.matchAll(/\$\{?([A-Za-z_]\w*)/g)].map(([, variable = '']) => variable);
      if (variables.some((variable) => exported.has(variable))) return [];
      const place = at('configs', key, 'name');
      const what =
        text === ''
          ? 'has no name of its own: a config cannot change, so each change needs another name'
          : `${JSON.stringify(text)} has no version that abra.sh exports: a change of the file could not be deployed`;
      return [problem('config-unversioned', place, what)];
    });
  });
}

function secrets({ files }: LintedFiles): LintProblem[] {
  return files
    .flatMap(tooLongNames)
    .map(({ why, place }) =>
      problem('secret-name-too-long', place, `${why}: shorten what follows the stack's name`),
    );
}
