import { rm } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { BOUNDARIES, type Boundary } from '../../host/machine/boundary.ts';
import type { Stage } from './stage.ts';

/** What the recipes' maintainers did before the sweep that is struck, and what must come of it in the end. */
export interface Scenario {
  name: string;
  recipe: string;
  /** Whether the recipe starts without a canonical. */
  first: boolean;
  /** The fixture whose tree the new release has. */
  like: string;
  /** Whether the new release becomes the canonical, once nothing strikes any more. */
  promoted: boolean;
  /** The boundaries that this and no other scenario is needed for. */
  reaches: readonly Boundary[];
}

/** Only a canonical that is put back passes these. */
const RESTORING: readonly Boundary[] = [
  'settle.after-mark',
  'settle.after-trim',
  'settle.after-volumes',
  'settle.mid-restore',
  'settle.after-restore',
];
const REATTACHING: readonly Boundary[] = ['promote.after-reattach', 'upgrade.after-deploy'];

const FIRST = { first: true, promoted: true, reaches: ['settle.after-nothing'] } as const;
const UPGRADE = { first: false, promoted: true, reaches: REATTACHING } as const;

export const SCENARIOS: readonly Scenario[] = [
  { name: 'first custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...FIRST },
  { name: 'first webdis', recipe: 'webdis', like: '1.1.0+0.1.22', ...FIRST },
  { name: 'upgrade custom-html', recipe: 'custom-html', like: '1.1.0+1.26', ...UPGRADE },
  { name: 'upgrade webdis', recipe: 'webdis', like: '1.1.0+0.1.22', ...UPGRADE },
  {
    name: 'failing notice-board',
    recipe: 'notice-board',
    first: false,
    like: '1.1.0+1.26',
    promoted: false,
    reaches: RESTORING,
  },
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

/** Only a sweep of mirrors on a forge passes these: test/e2e/forge.e2e.test.ts strikes there. */
const ON_A_FORGE: readonly Boundary[] = [
  'mirror-sync.after-make',
  'mirror-sync.after-comment',
  'mirror-sync.after-close',
];

/** Where the campaign strikes. */
export const STRUCK_AT = BOUNDARIES.filter((boundary) => !ON_A_FORGE.includes(boundary));

/** The scenarios that pass a boundary, where only some do. */
export function scenariosFor(boundary: Boundary | null): readonly Scenario[] {
  const needed = SCENARIOS.filter(({ reaches }) => boundary !== null && reaches.includes(boundary));
  if (needed.length > 0) return needed;
  // What a promote leaves behind for the reaper to settle, it leaves on its way to a new canonical.
  const promotes = boundary === 'reap.after-settle' || boundary?.startsWith('promote.');
  return promotes ? SCENARIOS.filter(({ promoted }) => promoted) : SCENARIOS;
}

/** Boundaries that only a sweep after a crash passes, since there is something to reap. */
export function needsLeftovers(
  boundary: Boundary | null,
): boundary is 'reap.after-remove' | 'reap.after-settle' {
  return boundary === 'reap.after-remove' || boundary === 'reap.after-settle';
}

/** How often one sweep of one recipe passes a boundary at least; once where nothing is said. */
const PASSES: Partial<Record<Boundary, { first: number; later: number }>> = {
  'lock.after-claim': { first: 5, later: 6 },
  'guard.after-look': { first: 12, later: 25 },
  'command.after-start': { first: 12, later: 20 },
  'deploy.after-checkout': { first: 2, later: 4 },
  'deploy.after-images': { first: 2, later: 4 },
  'deploy.after-secrets': { first: 2, later: 4 },
  'deploy.after-stack-deploy': { first: 2, later: 4 },
  'deploy.after-converge': { first: 2, later: 4 },
  'stop.before-service': { first: 3, later: 4 },
  'stop.after-services': { first: 3, later: 4 },
  'stop.after-containers': { first: 3, later: 4 },
  'stop.after-networks': { first: 3, later: 4 },
  'remove.after-volumes': { first: 2, later: 2 },
};

export function passesOf(boundary: Boundary, { first }: Scenario): number {
  return PASSES[boundary]?.[first ? 'first' : 'later'] ?? 1;
}

/** What maintainers publish, each release newer than all before. */
export function createPublisher(stage: Stage) {
  const minors = new Map<string, number>();
  return {
    /** The very first release of a recipe. */
    async publishFirst(recipe: string): Promise<string> {
      const version = FIRST_RELEASES[recipe] ?? '';
      await stage.system.upstreams.publish(recipe, version);
      minors.set(recipe, 0);
      return version;
    },
    async publishNext({ recipe, like }: Pick<Scenario, 'recipe' | 'like'>): Promise<string> {
      if (!minors.has(recipe)) await this.publishFirst(recipe);
      const minor = (minors.get(recipe) ?? 0) + 1;
      minors.set(recipe, minor);
      const version = `1.${minor}.0+${like.split('+')[1] ?? ''}`;
      await stage.system.upstreams.publish(recipe, version, like);
      return version;
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
