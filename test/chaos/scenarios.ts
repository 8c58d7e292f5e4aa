import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import type { TestMode } from '../../domain/recipe-test.ts';
import type { Release } from '../../domain/release.ts';
import { BOUNDARIES, type Boundary } from '../../host/machine/boundary.ts';
import { until, type System } from '../e2e/system.ts';
import { KEYCLOAK, REALM_RECIPE } from './keycloak.ts';
import type { Stage } from './stage.ts';

/** What the recipes' maintainers did before what is struck, and what must come of it in the end. */
export interface Scenario {
  name: string;
  recipe: string;
  /** Whether the recipe starts without a canonical. */
  first: boolean;
  /** The fixture whose tree the new release has, or the head that is tested. */
  like: string;
  /** How the head is tested, where what is struck is a test of it; null where it is a sweep or a reconcile. */
  test: TestMode | null;
  /** What a reconcile has to do, where what is struck is one; null where it is none. */
  live: LiveStory | null;
  /** Whether it passes its cold test and then fails on the canonical's data; of a live service: is unhealthy there. */
  fails: boolean;
  /**
   * Whether the new release becomes the canonical, or what the service is at, once nothing strikes any more; a head is
   * released after its test.
   */
  promoted: boolean;
}

/** The service is installed, since its first release was approved; taken to a newer one; or found to be down. */
export type LiveStory = 'install' | 'upgrade' | 'recover';

const SWEEP = { test: null, live: null, fails: false, promoted: true } as const;
const FIRST = { ...SWEEP, first: true } as const;
const UPGRADE = { ...SWEEP, first: false } as const;
const COLD = { test: 'cold', live: null, first: false, fails: false, promoted: false } as const;
const QUICK = { ...COLD, test: 'quick' } as const;
const FAILING = {
  recipe: 'notice-board',
  like: '1.1.0+1.26',
  first: false,
  live: null,
  fails: true,
  promoted: false,
} as const;
const LIVE = { recipe: 'front-desk', like: '1.1.0+1.26', first: false, ...SWEEP } as const;

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
  { name: 'install front-desk', ...LIVE, live: 'install', first: true },
  { name: 'reconcile front-desk', ...LIVE, live: 'upgrade' },
  {
    name: 'failing front-desk',
    ...LIVE,
    live: 'upgrade',
    like: '1.2.0+1.26',
    fails: true,
    promoted: false,
  },
  { name: 'recover front-desk', ...LIVE, live: 'recover', promoted: false },
  { name: 'first pinboard', recipe: REALM_RECIPE, like: '1.0.0+1.22', ...FIRST },
  { name: 'cold pinboard', recipe: REALM_RECIPE, like: '1.0.0+1.22', ...COLD },
];

/** Always up to date: a sweep of it alone reaps, and makes nothing. */
export const QUIET_RECIPE = 'custom-html-tiny';
export const CHAOS_RECIPES = [
  'custom-html',
  'custom-html-tiny',
  'notice-board',
  REALM_RECIPE,
  'webdis',
] as const;
/** A live service, which has reconciles of its own. */
export const LIVE_RECIPE = 'front-desk';

/** The first releases, and the app version that later ones carry on. */
const FIRST_RELEASES: Readonly<Record<string, string>> = {
  'custom-html': '1.0.0+1.22',
  'custom-html-tiny': '1.0.0+1.22',
  'front-desk': '1.0.0+1.22',
  [KEYCLOAK]: '10.0.0+26.0.8',
  'notice-board': '1.0.0+1.22',
  [REALM_RECIPE]: '1.0.0+1.22',
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

/** Passed only where a run has a realm at a live Keycloak: struck by the long campaign alone, since that takes long to start. */
export const OF_A_REALM: readonly Boundary[] = [
  'realm.after-mark',
  'realm.after-create',
  'realm.after-remove',
  'realm.after-clear',
];

const ELSEWHERE = new Set<Boundary>([...ON_A_FORGE, ...IN_DROP_DATA]);

/** Where the campaign strikes. */
export const STRUCK_AT = BOUNDARIES.filter((boundary) => !ELSEWHERE.has(boundary));

const isLive = ({ live }: Scenario): boolean => live !== null;
const isSweep = ({ test, live }: Scenario): boolean => test === null && live === null;
const isQuick = ({ test }: Scenario): boolean => test === 'quick';
const isPromotion = (scenario: Scenario): boolean => isSweep(scenario) && scenario.promoted;
/** Whether it installs something cold. */
const isCold = (scenario: Scenario): boolean => isSweep(scenario) || scenario.test === 'cold';
/** Only data that is put back passes these. */
const putsBack = (scenario: Scenario): boolean => scenario.fails && scenario.test !== 'cold';
/** Takes a live service to another release. */
const changesService = ({ live }: Scenario): boolean => live === 'install' || live === 'upgrade';

/** Which stories pass a boundary, or a family of them, that not all pass. */
const PASSED_BY: Readonly<Record<string, (scenario: Scenario) => boolean>> = {
  open: isSweep,
  close: isSweep,
  // An install's was brought here when its release was approved.
  'mirror-sync.after-push': (scenario) => isSweep(scenario) || scenario.live === 'upgrade',
  'reap.after-remove': isCold,
  // What is left for the reaper to settle, a promote leaves on its way to a new canonical, a quick lane, or a reconcile.
  'reap.after-settle': (scenario) => isPromotion(scenario) || isQuick(scenario) || changesService(scenario),
  resolve: (scenario) => !isLive(scenario),
  record: (scenario) => !isLive(scenario),
  tier: (scenario) => !isLive(scenario),
  stop: (scenario) => scenario.live === null || scenario.live === 'upgrade',
  remove: isCold,
  // See giveMoreToDo in stage.ts.
  dependency: ({ recipe }) => recipe === 'notice-board',
  'custom.after-checks': ({ recipe, test }) => recipe === 'notice-board' && test !== 'quick',
  'cold-install': isCold,
  upgrade: ({ first, live }) => !first && live === null,
  'upgrade.after-markers': (scenario) =>
    !scenario.first && !isLive(scenario) && !(scenario.fails && isQuick(scenario)),
  backup: isCold,
  restore: isCold,
  teardown: isCold,
  'quick-lane': isQuick,
  'quick-lane.after-undeploy': (scenario) => isQuick(scenario) && !scenario.fails,
  promote: isPromotion,
  'promote.after-reattach': (scenario) => isPromotion(scenario) && !scenario.first,
  settle: (scenario) => scenario.test !== 'cold' && !isLive(scenario),
  'settle.after-mark': (scenario) => putsBack(scenario) && !isLive(scenario),
  'settle.after-trim': putsBack,
  'settle.after-volumes': putsBack,
  'settle.mid-restore': putsBack,
  'settle.after-restore': putsBack,
  'settle.after-nothing': (scenario) => scenario.first && isSweep(scenario),
  reconcile: changesService,
  'reconcile.after-undeploy': ({ live }) => live === 'upgrade',
  'reconcile.after-snapshot': ({ live }) => live === 'upgrade',
  'reconcile.after-deploy': isLive,
  'reconcile.after-gate': isLive,
  'reconcile.after-verdict': (scenario) => isLive(scenario) && scenario.fails,
  'reconcile.after-commit': (scenario) => isLive(scenario) && scenario.promoted,
  'reconcile.after-put-back': (scenario) => isLive(scenario) && scenario.fails,
};

/**
 * The scenarios that pass a boundary; all of them where it strikes afterwards. Those that need a Keycloak are played where
 * no other passes it.
 */
export function scenariosFor(boundary: Boundary | null): readonly Scenario[] {
  const ofRealm = boundary !== null && OF_A_REALM.includes(boundary);
  const scenarios = SCENARIOS.filter(({ recipe }) => (recipe === REALM_RECIPE) === ofRealm);
  if (boundary === null) return scenarios;
  const passes = PASSED_BY[boundary] ?? PASSED_BY[boundary.split('.')[0] ?? ''] ?? (() => true);
  return scenarios.filter(passes);
}

/** Boundaries that only a sweep after a crash passes, since there is something to reap. */
export function needsLeftovers(
  boundary: Boundary | null,
): boundary is 'reap.after-remove' | 'reap.after-settle' {
  return boundary === 'reap.after-remove' || boundary === 'reap.after-settle';
}

type Story = 'first' | 'later' | TestMode | LiveStory | 'rollback';

/**
 * How often one sweep of one recipe, one test, or one reconcile of one service passes a boundary at least; once where
 * nothing is said.
 */
const PASSES: Partial<Record<Boundary, Partial<Record<Story, number>>>> = {
  'lock.after-claim': {
    first: 5,
    later: 6,
    cold: 7,
    quick: 5,
    install: 3,
    upgrade: 3,
    rollback: 4,
    recover: 4,
  },
  'guard.after-look': {
    first: 12,
    later: 25,
    cold: 15,
    quick: 12,
    install: 6,
    upgrade: 12,
    rollback: 20,
    recover: 5,
  },
  'command.after-start': {
    first: 12,
    later: 20,
    cold: 12,
    quick: 8,
    install: 12,
    upgrade: 16,
    rollback: 24,
    recover: 16,
  },
  'deploy.after-checkout': { first: 2, later: 4, cold: 2, quick: 2, rollback: 2 },
  'deploy.after-images': { first: 2, later: 4, cold: 2, quick: 2, rollback: 2 },
  'deploy.after-secrets': { first: 2, later: 4, cold: 2, quick: 2, rollback: 2 },
  'deploy.after-stack-deploy': { first: 2, later: 4, cold: 2, quick: 2, rollback: 2 },
  'deploy.after-converge': { first: 2, later: 4, cold: 2, quick: 1, rollback: 2 },
  'stop.before-service': { first: 3, later: 4, cold: 2, quick: 1, rollback: 2 },
  'stop.after-services': { first: 3, later: 4, cold: 2, quick: 2, rollback: 2 },
  'stop.after-containers': { first: 3, later: 4, cold: 2, quick: 2, rollback: 2 },
  'stop.after-networks': { first: 3, later: 4, cold: 2, quick: 2, rollback: 2 },
  'remove.after-volumes': { first: 2, later: 2, cold: 2, quick: 0 },
};

export function passesOf(boundary: Boundary, { first, test, live, fails }: Scenario): number {
  const sweep = first ? 'first' : 'later';
  const story = live === 'upgrade' && fails ? 'rollback' : (live ?? test ?? sweep);
  return PASSES[boundary]?.[story] ?? 1;
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
  await removeStack(system, recipe, ['volume', 'secret']);
}

/** An operator takes a live service down, and all that is known of it. */
export async function forgetService({ system }: Stage, recipe: string): Promise<void> {
  await removeStack(system, recipe, ['service', 'network', 'config', 'volume', 'secret']);
  await rm(path.join(system.state, 'services', recipe), { recursive: true, force: true });
}

/** Somebody takes a live service's containers away. */
export async function takeDown({ system }: Stage, recipe: string): Promise<void> {
  await removeStack(system, recipe, ['service']);
}

async function removeStack({ zone }: System, recipe: string, kinds: readonly string[]): Promise<void> {
  const filter = `label=com.docker.stack.namespace=warm-${recipe}_${zone.replaceAll('.', '_')}`;
  const list = async (...args: string[]): Promise<string[]> => {
    const { stdout } = await execa('docker', [...args, '--quiet', '--filter', filter]);
    return stdout.split('\n').filter((name) => name !== '');
  };
  for (const kind of kinds) {
    await until(async () => {
      const names = await list(kind, 'ls');
      // A network is in use for a moment after the last container of it.
      if (names.length > 0) await execa('docker', [kind, 'rm', ...names], { reject: kind !== 'network' });
      return names.length === 0;
    });
    if (kind === 'service') await until(async () => (await list('ps', '--all')).length === 0);
  }
}
