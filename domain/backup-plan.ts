/**
 * What a recipe's backupbot labels ask for. They stand on `deploy.labels` of any of its services:
 * `backupbot.backup` on one of them turns it on for the whole stack, with every volume of it;
 * `backupbot.backup.volumes.<volume>=false` leaves one out, and `.volumes.<volume>.path=a,b` keeps only those
 * paths of one; `backupbot.backup.pre-hook`, `.post-hook` and `backupbot.restore.pre-hook`, `.post-hook` are
 * commands for the container of the service that carries them.
 *
 * Older recipes speak as the first backup-bot did, and are understood too: `backupbot.backup.path=/a,/b` names paths
 * in the container of its service, and `backupbot.volumes.<volume>` is what `backupbot.backup.volumes.<volume>` is.
 * Where a service says `backupbot.backup.path`, each service answers for its own volumes alone: those of a service
 * without `backupbot.backup=true` are not archived, as that tool would not, and more than it does proves nothing.
 */

export interface LabelledService {
  /** As compose names it. */
  name: string;
  /** `deploy.labels`. */
  labels: Readonly<Record<string, string>>;
  mounts: readonly VolumeMount[];
}

export interface VolumeMount {
  /** The volume's name on the engine. */
  volume: string;
  /** Where it is in the container. */
  target: string;
}

/** A command for the container of a service. */
export interface ServiceHook {
  /** As the label is called: `backup pre-hook`. */
  hook: string;
  service: string;
  command: string;
}

export interface PlannedVolume {
  /** On the engine. */
  name: string;
  /** What is kept of it, relative to its root; null for all of it. */
  paths: string[] | null;
}

export interface BackupPlan {
  volumes: PlannedVolume[];
  /** What is not backed up, and why. */
  leftOut: { name: string; why: string }[];
  hooks: { beforeBackup: ServiceHook[]; afterBackup: ServiceHook[] } & RestoreHooks;
  /** Labels that look like the specification's and are none of it. */
  ignored: string[];
}

export interface RestoreHooks {
  beforeRestore: ServiceHook[];
  afterRestore: ServiceHook[];
}

export type BackupAsked =
  | { is: 'planned'; plan: BackupPlan }
  /** There is nothing to back up, or nobody asks for it. */
  | { is: 'not asked'; reason: string }
  /** The labels cannot be meant as they are. */
  | { is: 'wrong'; reason: string };

class WrongLabel extends Error {}

const PREFIX = 'backupbot.';
const VOLUMES = 'backupbot.backup.volumes.';
const OLD_VOLUMES = 'backupbot.volumes.';
/** Names paths in the container of the service that carries it. */
export const CONTAINER_PATHS = 'backupbot.backup.path';
const HOOKS = {
  'backupbot.backup.pre-hook': 'beforeBackup',
  'backupbot.backup.post-hook': 'afterBackup',
  'backupbot.restore.pre-hook': 'beforeRestore',
  'backupbot.restore.post-hook': 'afterRestore',
} as const;

/** Reads the labels of a stack's services. `volumes` are all of the stack's, by their names on the engine. */
export function planBackup(
  stack: string,
  services: readonly LabelledService[],
  volumes: readonly { name: string; elsewhere?: true }[],
): BackupAsked {
  if (volumes.every(({ elsewhere }) => elsewhere)) return { is: 'not asked', reason: 'it keeps no data' };
  try {
    const asking = [...services]
      .sort((a, b) => (a.name < b.name ? -1 : 1))
      .map((service) => ({ ...service, backup: switchOf(service, 'backupbot.backup') }));
    if (!asking.some(({ backup }) => backup === true)) {
      return { is: 'not asked', reason: 'none of its services has the label backupbot.backup=true' };
    }
    const counted = asking.filter(({ backup }) => backup !== false);
    return { is: 'planned', plan: planOf(stack, counted, volumes) };
  } catch (error) {
    if (error instanceof WrongLabel) return { is: 'wrong', reason: error.message };
    throw error;
  }
}

function planOf(
  stack: string,
  services: readonly LabelledService[],
  volumes: readonly { name: string; elsewhere?: true }[],
): BackupPlan {
  const plan: BackupPlan = {
    volumes: [],
    leftOut: [],
    hooks: { beforeBackup: [], afterBackup: [], beforeRestore: [], afterRestore: [] },
    ignored: [],
  };
  const off = new Set<string>();
  const paths = new Map<string, Set<string>>();
  const named = (key: string): string | null =>
    volumes.find(({ name }) => name === `${stack}_${key}` || name === key)?.name ?? null;

  const add = (volume: string, kept: readonly string[]): void => {
    paths.set(volume, new Set([...(paths.get(volume) ?? []), ...kept]));
  };
  const byPath = services.some(({ labels }) => CONTAINER_PATHS in labels);
  const answeredFor = new Set<string>();

  for (const service of services) {
    if (CONTAINER_PATHS in service.labels) {
      for (const one of containerPaths(service.labels[CONTAINER_PATHS] ?? '')) {
        const led = volumesAt(service, one);
        if (led.length === 0) {
          plan.ignored.push(`${CONTAINER_PATHS} of service ${service.name}: ${one} lies on no volume`);
        }
        for (const { volume, path } of led) {
          answeredFor.add(volume);
          add(volume, [path]);
        }
      }
    } else if (switchOf(service, 'backupbot.backup') === true) {
      for (const { volume } of service.mounts) answeredFor.add(volume);
    }
    for (const written of Object.keys(service.labels).sort()) {
      if (!written.startsWith(PREFIX) || written === 'backupbot.backup' || written === CONTAINER_PATHS)
        continue;
      const value = service.labels[written] ?? '';
      const label = written.startsWith(OLD_VOLUMES)
        ? `${VOLUMES}${written.slice(OLD_VOLUMES.length)}`
        : written;
      if (label in HOOKS) {
        const moment = HOOKS[label as keyof typeof HOOKS];
        const hook = label.slice(PREFIX.length).replace('.', ' ');
        if (value.trim() !== '') plan.hooks[moment].push({ hook, service: service.name, command: value });
      } else if (label.startsWith(VOLUMES) && label.endsWith('.path')) {
        const key = label.slice(VOLUMES.length, -'.path'.length);
        const kept = pathsOf(service, written, value);
        const volume = named(key);
        if (volume === null) throw wrong(service, written, `the stack has no volume ${key}`);
        answeredFor.add(volume);
        add(volume, kept);
      } else if (label.startsWith(VOLUMES)) {
        const volume = named(label.slice(VOLUMES.length));
        if (switchOf(service, written) === true) {
          if (volume !== null) answeredFor.add(volume);
          continue;
        }
        // A label may be about a volume that only another choice of compose files brings.
        if (volume === null) plan.ignored.push(`${written} of service ${service.name}: no such volume`);
        else off.add(volume);
      } else plan.ignored.push(`${written} of service ${service.name}: not in the specification`);
    }
  }

  for (const { name, elsewhere } of volumes) {
    if (elsewhere) plan.leftOut.push({ name, why: 'its driver options keep it elsewhere' });
    else if (off.has(name)) plan.leftOut.push({ name, why: 'its label says so' });
    else if (byPath && !answeredFor.has(name)) {
      plan.leftOut.push({ name, why: `no ${CONTAINER_PATHS} leads to it` });
    } else {
      const kept = [...(paths.get(name) ?? [])].sort();
      const all = kept.length === 0 || kept.includes('.');
      plan.volumes.push({ name, paths: all ? null : kept });
    }
  }
  return plan;
}

const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off', '']);

/** Whether the value of a label that is a switch turns it on. */
export function saysYes(written: string): boolean {
  return YES.has(unquoted(written).toLowerCase());
}

/** Undefined without the label. */
function switchOf(service: LabelledService, label: string): boolean | undefined {
  const written = service.labels[label];
  if (written === undefined) return undefined;
  if (saysYes(written)) return true;
  if (NO.has(unquoted(written).toLowerCase())) return false;
  throw wrong(service, label, `neither true nor false: ${written}`);
}

/** An env file may leave its quotes around a value. */
function unquoted(written: string): string {
  const value = written.trim();
  return /^(["']).*\1$/s.test(value) ? value.slice(1, -1).trim() : value;
}

function pathsOf(service: LabelledService, label: string, written: string): string[] {
  const kept = unquoted(written)
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
  if (kept.length === 0) throw wrong(service, label, 'it names no path');
  return kept.map((one) => {
    if (one.startsWith('/')) throw wrong(service, label, `${one} is not relative to the volume's root`);
    const steps = one.split('/').filter((step) => step !== '' && step !== '.');
    if (steps.includes('..')) throw wrong(service, label, `${one} leads out of the volume`);
    if (/\p{Cc}/u.test(one)) throw wrong(service, label, 'it holds a control character');
    return steps.join('/') || '.';
  });
}

/** The paths that a label names, without what says nothing in them. */
export function containerPaths(written: string): string[] {
  return unquoted(written)
    .split(',')
    .map((one) => one.trim().replace(/\/+/g, '/').replace(/\/$/, ''))
    .filter((one) => one !== '');
}

/** The volumes that a path in a service's container leads to, and what it names of each. */
function volumesAt({ mounts }: LabelledService, wanted: string): { volume: string; path: string }[] {
  const below = mounts.filter(({ target }) => isWithin(target, wanted));
  if (below.length > 0) return below.map(({ volume }) => ({ volume, path: '.' }));
  const [above] = mounts
    .filter(({ target }) => isWithin(wanted, target))
    .sort((a, b) => b.target.length - a.target.length);
  if (above === undefined) return [];
  const steps = wanted.slice(trimmed(above.target).length).split('/');
  // Whoever leads out of a volume leads nowhere.
  if (steps.includes('..')) return [];
  return [{ volume: above.volume, path: steps.filter((step) => step !== '' && step !== '.').join('/') }];
}

/** Whether a path in a container is a folder, or is somewhere below it. */
export function isWithin(one: string, folder: string): boolean {
  return `${trimmed(one)}/`.startsWith(`${trimmed(folder)}/`);
}

function trimmed(folder: string): string {
  return folder.replace(/\/+$/, '');
}

function wrong(service: LabelledService, label: string, what: string): WrongLabel {
  return new WrongLabel(`label ${label} of service ${service.name}: ${what}`);
}
