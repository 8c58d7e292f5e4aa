import { bold, yellow } from 'yoctocolors';
import type { Overdue } from '../../alerts/overdue.ts';
import type { RecipeProgress, StepProgress, SweepProgress } from '../../workflows/protocol.ts';
import { taskQueueOf } from '../../workflows/protocol.ts';
import { formatDuration, formatTime } from '../../domain/quantities.ts';
import { liveTestView, liveView } from './progress.ts';
import { oneLine } from './terminal.ts';

/** What `status` says, and its JSON. */
export interface Status {
  host: string;
  /** The step is null where only its turn is known: on another host, or before its first step. */
  holder: { workflowId: string; runId: string; what: string; since: string; step: string | null } | null;
  /** Who waits for its turn, in order. Null where that is not known, nor who has the host if no holder is named. */
  waiting: { workflowId: string; runId: string; what: string; since: string }[] | null;
  workers: { identity: string; lastSeen: string }[];
  sweeps: SweepStatus[];
  tests: TestStatus[];
  schedule: { id: string; paused: boolean; note: string | null; next: string | null } | null;
  /** Alerts that a target should have been told of more than a day ago. Null of another host, and where it cannot be read. */
  overdue: Overdue[] | null;
}

export interface SweepStatus {
  sweep: string;
  started: string;
  url: string;
  /** Null while the sweep does not answer. */
  state: SweepProgress['state'] | null;
  /** Why it does not answer, else null. */
  note: string | null;
  recipes: (RecipeProgress & { step: StepProgress | null })[];
}

export interface TestStatus {
  test: string;
  recipe: string;
  started: string;
  url: string;
  /** Null while it does not answer. */
  step: StepProgress | null;
  /** Why it does not, else null. */
  note: string | null;
}

export function renderStatus(status: Status, now: number): string {
  const { workers, schedule } = status;
  const lines = [
    `host      ${status.host}: ${holderLine(status)}`,
    ...(status.waiting ?? []).map(({ what, workflowId, since }) =>
      oneLine(`waits     ${what} ${workflowId} since ${since}`),
    ),
    `worker    ${
      workers.length === 0
        ? yellow(`none waits on task queue ${taskQueueOf(status.host)}; start one: recipe-sweep worker`)
        : workers
            .map(({ identity, lastSeen }) => `${oneLine(identity)}, seen ${ago(lastSeen, now)} ago`)
            .join('; ')
    }`,
    `schedule  ${scheduleLine(schedule)}`,
    ...(status.overdue ?? []).map((one) => yellow(overdueLine(one))),
  ];
  if (status.sweeps.length === 0) lines.push('sweeps    none running');
  for (const sweep of status.sweeps) lines.push('', renderSweep(sweep, now), `  ${sweep.url}`);
  for (const { test, step, note, url } of status.tests)
    lines.push('', liveTestView({ test, step, note }, now), `  ${url}`);
  return lines.join('\n');
}

function overdueLine({ alert, target, since, error }: Overdue): string {
  const why = error ?? 'nothing was tried: is there a worker?';
  return oneLine(`alert     ${alert} is owed to ${target} since ${formatTime(new Date(since))}: ${why}`);
}

function holderLine({ holder, waiting }: Status): string {
  if (holder === null) return waiting === null ? yellow('not known; no worker answers who has it') : 'free';
  const { what, workflowId, since, step } = holder;
  const held = oneLine(`held by ${what} ${workflowId} since ${since}${step === null ? '' : ` (${step})`}`);
  return waiting === null ? `${held}; ${yellow('no worker answers who waits')}` : held;
}

function ago(moment: string, now: number): string {
  return formatDuration(now - new Date(moment).getTime());
}

function scheduleLine(schedule: Status['schedule']): string {
  if (schedule === null) return yellow('none; create it: recipe-sweep schedule ensure');
  if (schedule.paused) return yellow(`paused${schedule.note ? ` (${oneLine(schedule.note)})` : ''}`);
  return schedule.next === null ? 'no next time' : `next ${bold(formatTime(new Date(schedule.next)))}`;
}

function renderSweep({ sweep, state, note, recipes }: SweepStatus, now: number): string {
  const steps = new Map(recipes.flatMap(({ recipe, step }) => (step ? [[recipe, step] as const] : [])));
  return liveView({ sweep, progress: state === null ? null : { sweep, state, recipes }, steps, note }, now);
}
