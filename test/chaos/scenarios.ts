import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { TestMode } from '../../domain/recipe-test.ts';
import type { Release } from '../../domain/release.ts';
import { BOUNDARIES, type Boundary } from '../../host/machine/boundary.ts';
import type { Stage } from './stage.ts';

/** What the recipes' maintainers did before what is struck, and what must come of it in the end. */
export interface Scenario {
  name: string;
  recipe: string;
  /** Whether the recipe starts without a canonical. */
  first: boolean;
  /** The fixture whose tree the new release has, or the head that is tested. */
  like: string;
  /** How the head is tested, where what is struck is a test of it; null where it is a sweep of a new release. */
  test: TestMode | null;
  /** Whether it passes its cold test and then fails on the canonical's data. */
  fails: boolean;
  /** Whether the new release becomes the canonical, once nothing strikes any more; a head is released after its test. */
  promoted: boolean;
}

const SWEEP = { test: null, fails: false, promoted: true } as const;
const FIRST = { ...SWEEP, first: true } as const;
const UPGRADE = { ...SWEEP, first: false } as const;
const COLD = { test: 'cold', first: false, fails: false, promoted: false } as const;
const QUICK = { ...COLD, test: 'quick' } as const;
const FAILING = {
  recipe: 'notice-board',
  like: '1.1.0+1.26',
  first: false,
  fails: true,
  promoted: false,
} as const;

export const SCENARIOS: readonly Scenario[] = [
  { name: 'first custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...FIRST },
  { name: 'first webdis', recipe: 'webdis', like: '1.1.0+0.1.22', ...FIRST },
  { name: 'upgrade custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...UPGRADE },
  { name: 'upgrade webdis', recipe: 'webdis', like: '1.1.0+0.1.22', ...UPGRADE },
  { name: 'failing notice-board', ...FAILING, test: null },
  { name: 'cold custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...COLD },
  { name: 'cold notice-board', ...FAILING, test: 'cold' },
  { name: 'quick custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...QUICK },
  { name: 'quick webdis', recipe: 'webdis', like: '1.1.0+0.1.22', ...QUICK, promoted: true },
  { name: 'quick notice-board', ...FAILING, test: 'quick' },
];

/** Always up to date: a sweep of it alone reaps, and makes nothing. */
export const QUIET_RECIPE = 'custom-html-tiny';
export const CHAOS_RECIPES = ['custom-html', 'custom-html-tiny', 'notice-board', 'webdis'] as const;

/** The first releases, and the app version that later ones carry on. */
const FIRST_RELEASES: Readonly<Record<string, string>> = {
  'custom-html': '1.0.0+1.22',
  'custom-html-tiny': '1.0.0+1.22',
  'notice-board': '1.0.0+1.22',
  webdis: '1.0.0+0.1.9',
};

/**
 * Passed only where mirrors are on a forge, so the campaign leaves them out: test/e2e/forge.e2e.test.ts and
 * test/e2e/pull-requests.e2e.test.ts strike there.
 */
const ON_A_FORGE: readonly Boundary[] = [
  'mirror-sync.after-make',
  'mirror-sync.after-comment',
  'mirror-sync.after-close',
  'answer.after-comment',
  'answer.after-status',
];

/** Passed only where an operator gives data up: test/unit/drop-data.test.ts strikes there. */
const IN_DROP_DATA: readonly Boundary[] = ['drop.after-mark', 'drop.after-record'];

/** Passed only where a run has a Keycloak beside it: test/unit/run-realm.test.ts strikes there. */
const OF_A_REALM: readonly Boundary[] = [
  'realm.after-mark',
  'realm.after-create',
  'realm.after-remove',
  'realm.after-clear',
];

const ELSEWHERE = new Set<Boundary>([...ON_A_FORGE, ...IN_DROP_DATA, ...OF_A_REALM]);

/** Where the campaign strikes. */
export const STRUCK_AT = BOUNDARIES.filter((boundary) => !ELSEWHERE.has(boundary));

const isSweep = ({ test }: Scenario): boolean => test === null;
const isQuick = ({ test }: Scenario): boolean => test === 'quick';
const isPromotion = (scenario: Scenario): boolean => isSweep(scenario) && scenario.promoted;
/** Only data that is put back passes these. */
const putsBack = (scenario: Scenario): boolean => scenario.fails && scenario.test !== 'cold';

/** Which stories pass a boundary, or a family of them, that not all pass. */
const PASSED_BY: Readonly<Record<string, (scenario: Scenario) => boolean>> = {
  open: isSweep,
  close: isSweep,
  'mirror-sync.after-push': isSweep,
  'reap.after-remove': (scenario) => !isQuick(scenario),
  // What is left for the reaper to settle, a promote leaves on its way to a new canonical, or a quick lane.
  'reap.after-settle': (scenario) => isPromotion(scenario) || isQuick(scenario),
  remove: (scenario) => !isQuick(scenario),
  // See giveMoreToDo in stage.ts.
  dependency: ({ recipe }) => recipe === 'notice-board',
  'custom.after-checks': (scenario) => scenario.recipe === 'notice-board' && !isQuick(scenario),
  'cold-install': (scenario) => !isQuick(scenario),
  upgrade: ({ first }) => !first,
  'upgrade.after-markers': (scenario) => !scenario.first && !(scenario.fails && isQuick(scenario)),
  backup: (scenario) => !isQuick(scenario),
  restore: (scenario) => !isQuick(scenario),
  teardown: (scenario) => !isQuick(scenario),
  'quick-lane': isQuick,
  'quick-lane.after-undeploy': (scenario) => isQuick(scenario) && !scenario.fails,
  promote: isPromotion,
  'promote.after-reattach': (scenario) => isPromotion(scenario) && !scenario.first,
  settle: ({ test }) => test !== 'cold',
  'settle.after-mark': putsBack,
  'settle.after-trim': putsBack,
  'settle.after-volumes': putsBack,
  'settle.mid-restore': putsBack,
  'settle.after-restore': putsBack,
  'settle.after-nothing': ({ first }) => first,
};

/** The scenarios that pass a boundary; all of them where it strikes afterwards. */
export function scenariosFor(boundary: Boundary | null): readonly Scenario[] {
  if (boundary === null) return SCENARIOS;
  const passes = PASSED_BY[boundary] ?? PASSED_BY[boundary.split('.')[0] ?? ''] ?? (() => true);
  return SCENARIOS.filter(passes);
}

/** Boundaries that only a sweep after a crash passes, since there is something to reap. */
export function needsLeftovers(
  boundary: Boundary | null,
): boundary is 'reap.after-remove' | 'reap.after-settle' {
  return boundary === 'reap.after-remove' || boundary === 'reap.after-settle';
}

type Story = 'first' | 'later' | 'cold' | 'quick';

/** How often one sweep of one recipe, or one test, passes a boundary at least; once where nothing is said. */
const PASSES: Partial<Record<Boundary, Record<Story, number>>> = {
  'lock.after-claim': { first: 5, later: 6, cold: 7, quick: 5 },
  'guard.after-look': { first: 12, later: 25, cold: 15, quick: 12 },
  'command.after-start': { first: 12, later: 20, cold: 12, quick: 8 },
  'deploy.after-checkout': { first: 2, later: 4, cold: 2, quick: 2 },
  'deploy.after-images': { first: 2, later: 4, cold: 2, quick: 2 },
  'deploy.after-secrets': { first: 2, later: 4, cold: 2, quick: 2 },
  'deploy.after-stack-deploy': { first: 2, later: 4, cold: 2, quick: 2 },
  'deploy.after-converge': { first: 2, later: 4, cold: 2, quick: 1 },
  'stop.before-service': { first: 3, later: 4, cold: 2, quick: 1 },
  'stop.after-services': { first: 3, later: 4, cold: 2, quick: 2 },
  'stop.after-containers': { first: 3, later: 4, cold: 2, quick: 2 },
  'stop.after-networks': { first: 3, later: 4, cold: 2, quick: 2 },
  'remove.after-volumes': { first: 2, later: 2, cold: 2, quick: 0 },
};

export function passesOf(boundary: Boundary, { first, test }: Scenario): number {
  return PASSES[boundary]?.[test ?? (first ? 'first' : 'later')] ?? 1;
}

/** What maintainers publish and others propose, each newer than all before. */
export function createPublisher({ system }: Stage) {
  const minors = new Map<string, number>();
  const { upstreams } = system;
  const next = (recipe: string, like: string): string => {
    const minor = (minors.get(recipe) ?? 0) + 1;
    minors.set(recipe, minor);
    return `1.${minor}.0+${like.split('+')[1] ?? ''}`;
  };
  return {
    /** The very first release of a recipe. */
    async publishFirst(recipe: string): Promise<string> {
      const version = FIRST_RELEASES[recipe] ?? '';
      await upstreams.publish(recipe, version);
      minors.set(recipe, 0);
      return version;
    },
    async publishNext({ recipe, like }: Pick<Scenario, 'recipe' | 'like'>): Promise<string> {
      if (!minors.has(recipe)) await this.publishFirst(recipe);
      const version = next(recipe, like);
      await upstreams.publish(recipe, version, like);
      return version;
    },
    /** A branch of the mirror, on top of a main that was released; answers its head. */
    async propose({ recipe, like }: Pick<Scenario, 'recipe' | 'like'>): Promise<Release> {
      const version = next(recipe, like);
      const mirror = path.join(system.folder, 'mirrors', `${recipe}.git`);
      const { commit } = await upstreams.propose(recipe, version, like, mirror);
      return { version, commit };
    },
    /** What was proposed is released. */
    async release({ recipe, like }: Pick<Scenario, 'recipe' | 'like'>, version: string): Promise<void> {
      await upstreams.publish(recipe, version, like);
    },
  };
}

export type Publisher = ReturnType<typeof createPublisher>;

/** An operator gives a canonical up: the record and all that docker keeps for it. */
export async function forgetCanonical({ system }: Stage, recipe: string): Promise<void> {
  await rm(path.join(system.state, 'canonicals', recipe), { recursive: true, force: true });
  const filter = `label=com.docker.stack.namespace=warm-${recipe}_${system.zone.replaceAll('.', '_')}`;
  for (const kind of ['volume', 'secret']) {
    const { stdout } = await execa('docker', [kind, 'ls', '--quiet', '--filter', filter]);
    const names = stdout.split('\n').filter((name) => name !== '');
    if (names.length > 0) await execa('docker', [kind, 'rm', ...names]);
  }
}
