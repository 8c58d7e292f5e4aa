/**
 * What a recipe's backupbot labels ask for. They stand on `deploy.labels` of any of its services:
 * `backupbot.backup` on one of them turns it on for the whole stack, with every volume of it;
 * `backupbot.backup.volumes.<volume>=false` leaves one out, and `.volumes.<volume>.path=a,b` keeps only those
 * paths of one; `backupbot.backup.pre-hook`, `.post-hook` and `backupbot.restore.pre-hook`, `.post-hook` are
 * commands for the container of the service that carries them.
 */

export interface LabelledService {
  /** As compose names it. */
  name: string;
  labels: Readonly<Record<string, string>>;
  /** Names on the engine of the volumes it mounts. */
  volumes: readonly string[];
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

  for (const service of services) {
    for (const label of Object.keys(service.labels).sort()) {
      if (!label.startsWith(PREFIX) || label === 'backupbot.backup') continue;
      const value = service.labels[label] ?? '';
      if (label in HOOKS) {
        const moment = HOOKS[label as keyof typeof HOOKS];
        const hook = label.slice(PREFIX.length).replace('.', ' ');
        if (value.trim() !== '') plan.hooks[moment].push({ hook, service: service.name, command: value });
      } else if (label.startsWith(VOLUMES) && label.endsWith('.path')) {
        const key = label.slice(VOLUMES.length, -'.path'.length);
        const kept = pathsOf(service, label, value);
        const volume = named(key);
        if (volume === null) throw wrong(service, label, `the stack has no volume ${key}`);
        paths.set(volume, new Set([...(paths.get(volume) ?? []), ...kept]));
      } else if (label.startsWith(VOLUMES)) {
        const volume = named(label.slice(VOLUMES.length));
        if (switchOf(service, label) === true) continue;
        // A label may be about a volume that only another choice of compose files brings.
        if (volume === null) plan.ignored.push(`${label} of service ${service.name}: no such volume`);
        else off.add(volume);
      } else plan.ignored.push(`${label} of service ${service.name}: not in the specification`);
    }
  }

  for (const { name, elsewhere } of volumes) {
    if (elsewhere) plan.leftOut.push({ name, why: 'its driver options keep it elsewhere' });
    else if (off.has(name)) plan.leftOut.push({ name, why: 'its label says so' });
    else {
      const kept = [...(paths.get(name) ?? [])].sort();
      const all = kept.length === 0 || kept.includes('.');
      plan.volumes.push({ name, paths: all ? null : kept });
    }
  }
  return plan;
}

const YES = new Set(['true', '1', 'yes', 'on']);
const NO = new Set(['false', '0', 'no', 'off', '']);

/** Undefined without the label. */
function switchOf(service: LabelledService, label: string): boolean | undefined {
  const written = service.labels[label];
  if (written === undefined) return undefined;
  const value = unquoted(written).toLowerCase();
  if (YES.has(value)) return true;
  if (NO.has(value)) return false;
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

function wrong(service: LabelledService, label: string, what: string): WrongLabel {
  return new WrongLabel(`label ${label} of service ${service.name}: ${what}`);
}
