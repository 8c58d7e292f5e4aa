/**
 * Judges whether a stack has become what was asked for. Pure: all it knows is one observation of the swarm,
 * what was expected, and the time. The window over which a task must stay up needs no memory, since the swarm
 * says since when each task has been in its state.
 */

/** One task of a service. Times are milliseconds since the epoch. */
export interface TaskSeen {
  id: string;
  /** The replica it stands for: a slot number, or the node for a global service. */
  slot: string;
  /** What the swarm wants of it: running, ready, shutdown, remove. */
  desired: string;
  /** What it is: new … preparing, starting, running, complete, failed, shutdown, rejected, orphaned. */
  state: string;
  /** Since when it has been in that state. */
  since: number;
  created: number;
  error: string | null;
  exitCode: number | null;
  /** ID of the image its container runs; null while there is no container. */
  imageId: string | null;
  /** Made from the service's present spec, not from an older one. */
  current: boolean;
}

export interface ServiceSeen {
  /** As compose names it. */
  name: string;
  labels: Readonly<Record<string, string>>;
  image: string;
  /** Tasks that should run: the replicas, or the nodes of a global service. */
  replicas: number;
  /** Which tasks the swarm starts again once they left: all, those that failed, none. Those of a job: none. */
  restarts: 'any' | 'on-failure' | 'none';
  /** Each task has a limit of its own of the memory it may use. */
  memoryLimited: boolean;
  /** Milliseconds. */
  restartDelayMs: number;
  /** Milliseconds over which an update watches each new task. */
  updateMonitorMs: number;
  /** UpdateStatus of its last update; null when it has had none. */
  update: { state: string; message: string } | null;
  tasks: readonly TaskSeen[];
}

export interface Observation {
  at: number;
  services: readonly ServiceSeen[];
}

export interface Expectation {
  /** The label that each service of this very deployment carries; a rollback brings back an older value. */
  label: { name: string; value: string };
  services: readonly {
    name: string;
    image: string;
    imageId: string;
    /** It is done once it left with 0, also where the swarm would start it again had it failed. */
    oneShot: boolean;
  }[];
  /**
   * How long each task must stay up at the least, in milliseconds; null where it need only outlive those before it that
   * failed.
   */
  stableMs: number | null;
  /** When to give up, milliseconds since the epoch. */
  deadline: number;
}

export type Judgement =
  | { is: 'waiting'; why: string }
  /** All runs as asked for; it has to stay so until then. */
  | { is: 'stable until'; until: number }
  | { is: 'converged' }
  | { is: 'failed'; service: string; reason: string };

type ServiceJudgement =
  | { is: 'waiting'; why: string; failing: string | null }
  | { is: 'up'; until: number }
  | { is: 'failed'; reason: string };

/** The longest that an update monitor and a restart delay together may ask to watch a service for. */
const MOST_WATCHED_MS = 10 * 60 * 1000;

/** Longer than the window by this much, for the time that states take to travel. */
const MARGIN_MS = 250;

/** Tasks in these states have ended. */
export const ENDED = new Set(['complete', 'failed', 'shutdown', 'rejected', 'orphaned', 'remove']);

/**
 * - failed: an update was rolled back (UpdateStatus, or our label has an older value), or paused with tasks of the
 *   release before left to run, or a service left with 0 that the swarm does not start again and that nobody
 *   calls one-shot, or the deadline has passed and something is still not up. A crash before the deadline is not
 *   a failure: swarm apps crash until their database is up.
 * - stable until: every service has its full replicas, from the present spec, with the image asked for, and
 *   nothing older runs beside them; but some task has not yet been up for as long as it must: stableMs, or
 *   longer than update monitor + restart delay + what the longest-lived task lived that ended in this
 *   deployment, whichever is more. Without stableMs: longer than what that one lived.
 * - converged: that time has passed too. One-shot tasks count once they have left with 0: those that the swarm
 *   never starts again, and those of a service that is called so. `on-failure` alone does not make a service
 *   one-shot, since recipes write it for what must run on.
 */
export function judge(seen: Observation, expected: Expectation): Judgement {
  const waiting: { service: string; why: string; failing: string | null }[] = [];
  let until = 0;
  for (const wanted of expected.services) {
    const service = seen.services.find(({ name }) => name === wanted.name);
    const judged: ServiceJudgement = service
      ? judgeService(service, wanted, expected)
      : { is: 'waiting', why: 'not there yet', failing: null };
    if (judged.is === 'failed') {
      return { is: 'failed', service: wanted.name, reason: `${wanted.name}: ${judged.reason}` };
    }
    if (judged.is === 'up') until = Math.max(until, judged.until);
    else waiting.push({ service: wanted.name, why: judged.why, failing: judged.failing });
  }
  if (waiting.length > 0) {
    const why = waiting.map((one) => `${one.service} ${one.why}`).join(', ');
    if (seen.at < expected.deadline) return { is: 'waiting', why };
    const culprit = waiting.find(({ failing }) => failing !== null) ?? waiting[0];
    const failing = waiting.flatMap((one) => (one.failing ? [`${one.service}: ${one.failing}`] : []));
    return {
      is: 'failed',
      service: culprit?.service ?? '',
      reason: `not up at the deadline: ${why}${failing.length > 0 ? `; ${failing.join('; ')}` : ''}`,
    };
  }
  return until <= seen.at ? { is: 'converged' } : { is: 'stable until', until };
}

function judgeService(
  service: ServiceSeen,
  wanted: Expectation['services'][number],
  { label, stableMs }: Expectation,
): ServiceJudgement {
  const update = service.update?.state ?? '';
  const older = olderTasks(service);
  // A paused update takes up no more slots. Where none is left, what runs is, or becomes, what was asked for.
  const taken = new Set(service.tasks.filter((task) => task.current).map(({ slot }) => slot));
  const stuck = update === 'paused' && older.some((one) => one.desired === 'running' && !taken.has(one.slot));
  if (update.startsWith('rollback_') || stuck) {
    // The tasks that failed are no longer of the present spec once the swarm has gone back.
    const failed = newestFailure(service.tasks);
    const why = failed ?? service.update?.message ?? '';
    return { is: 'failed', reason: `update ${update}: ${why}` };
  }
  if (service.labels[label.name] !== label.value) {
    return { is: 'failed', reason: 'the swarm rolled it back to an earlier deployment' };
  }
  if (service.image !== wanted.image) {
    return { is: 'failed', reason: `its spec asks for ${service.image}, not ${wanted.image}` };
  }
  const watchedMs = service.updateMonitorMs + service.restartDelayMs;
  if (watchedMs > MOST_WATCHED_MS) {
    const [asked, most] = [watchedMs, MOST_WATCHED_MS].map((ms) => Math.round(ms / 1000));
    return {
      is: 'failed',
      reason: `its update monitor and restart delay ask to watch it for ${asked} s; ${most} s is the most`,
    };
  }
  const failing = lastFailure(service.tasks);
  const wait = (why: string): ServiceJudgement => ({ is: 'waiting', why, failing });

  const left = completedSlots(service.tasks);
  if (service.restarts === 'on-failure' && !wanted.oneShot && left.size > 0) {
    return {
      is: 'failed',
      reason:
        'it left with 0, and with restart policy on-failure the swarm does not start it again; a service that is done then is one_shot in recipe.yml',
    };
  }
  const running = runningTasks(service);
  const wrong = running.find((task) => task.imageId !== null && task.imageId !== wanted.imageId);
  if (wrong) return wait(`runs image ${wrong.imageId}, not ${wanted.imageId}`);
  if (running.some(({ imageId }) => imageId === null)) return wait('has no container to look at yet');
  const moving = inFlight(service, wanted);
  if (moving !== null) return wait(moving);
  const outlivedMs = longestFailedLife(service.tasks) + MARGIN_MS;
  const windowMs = stableMs === null ? outlivedMs : Math.max(stableMs, watchedMs + outlivedMs);
  return { is: 'up', until: Math.max(0, ...running.map(({ since }) => since + windowMs)) };
}

/** What of a service has yet to come or to go, as `0/1`; null when nothing has. */
export function inFlight(service: ServiceSeen, { oneShot }: { oneShot: boolean }): string | null {
  const { replicas, restarts, update } = service;
  const running = runningTasks(service);
  const ends = restarts === 'none' || (restarts === 'on-failure' && oneShot);
  const done = ends ? completedSlots(service.tasks) : [];
  const count = new Set([...running.map(({ slot }) => slot), ...done]).size;
  if (count < replicas) return `${count}/${replicas}`;
  if (running.length > replicas) return `${running.length}/${replicas}`;
  if (olderTasks(service).length > 0) return 'still runs a task of the release before';
  return update?.state === 'updating' ? 'is still being updated' : null;
}

/** Those of the present spec. */
export function runningTasks({ tasks }: ServiceSeen): TaskSeen[] {
  return tasks.filter((task) => task.current && task.desired === 'running' && task.state === 'running');
}

function olderTasks({ tasks }: ServiceSeen): TaskSeen[] {
  return tasks.filter((task) => !task.current && !ENDED.has(task.state));
}

/** Slots whose newest task of the present spec left with 0. */
function completedSlots(tasks: readonly TaskSeen[]): Set<string> {
  const newest = new Map<string, TaskSeen>();
  for (const task of tasks) {
    const other = newest.get(task.slot);
    if (task.current && (other === undefined || other.created < task.created)) newest.set(task.slot, task);
  }
  return new Set(
    [...newest.values()]
      .filter((task) => task.state === 'complete' && (task.exitCode ?? 0) === 0)
      .map(({ slot }) => slot),
  );
}

/** How long the longest-lived task that ended on its own in this deployment lived. */
function longestFailedLife(tasks: readonly TaskSeen[]): number {
  const lives = tasks
    .filter((task) => task.current && (task.state === 'failed' || task.state === 'complete'))
    .map((task) => task.since - task.created);
  return Math.max(0, ...lives);
}

/** What the newest task of the present spec that has an error says of it; null when none has. */
export function lastFailure(tasks: readonly TaskSeen[]): string | null {
  return newestFailure(tasks.filter((task) => task.current));
}

function newestFailure(tasks: readonly TaskSeen[]): string | null {
  const failed = tasks.filter((task) => task.error !== null).sort((a, b) => b.created - a.created)[0];
  return failed?.error ? `task ${failed.state}: ${failed.error}` : null;
}
