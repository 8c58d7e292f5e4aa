import { Gauge, Registry } from 'prom-client';

/**
 * Every metric of ours, by its name without the prefix: what it says, and by which labels. Units are base units, times
 * seconds since the epoch: an age is `time() - x`. docs/metrics.md has the same list, which a test compares.
 */
export const FAMILIES = {
  build_info: {
    help: 'Always 1: the version that answers, and the host it is for.',
    labels: ['version', 'host'],
  },
  unreadable_records: {
    help: 'Records of this part of the state folder, or of the recipes folder, that cannot be read; recipe-sweep doctor says which and why.',
    labels: ['part'],
  },

  recipe_enrolled: {
    help: '1 for a recipe that sweeps take, 0 for one with a folder that says why not.',
    labels: ['recipe'],
  },
  recipe_problems: {
    help: 'What of an enrolled recipe cannot be read: its folder, the index of its runs, its canonical.',
    labels: ['recipe'],
  },
  recipe_outcome: {
    help: 'Always 1: the outcome of the last sweep that had the recipe.',
    labels: ['recipe', 'outcome'],
  },
  recipe_standing: { help: 'Always 1: where the recipe stands.', labels: ['recipe', 'standing'] },
  recipe_level: {
    help: 'How far its latest tested release was proven, from 0 to 5.',
    labels: ['recipe'],
  },
  recipe_red_runs: {
    help: 'Over how many runs of sweeps it is red without a break; 0 where it is not.',
    labels: ['recipe'],
  },
  recipe_red_since_timestamp_seconds: {
    help: 'Since when it is red without a break; absent where it is not.',
    labels: ['recipe'],
  },
  recipe_last_run_timestamp_seconds: {
    help: 'When the last sweep that had the recipe was through with it.',
    labels: ['recipe'],
  },
  recipe_tested_timestamp_seconds: {
    help: 'When its last run that came to a verdict ended.',
    labels: ['recipe'],
  },
  recipe_run_duration_seconds: {
    help: 'How long its last run that came to a verdict took.',
    labels: ['recipe'],
  },
  recipe_tier_duration_seconds: {
    help: 'How long each tier took in its last run that came to a verdict.',
    labels: ['recipe', 'tier'],
  },
  canonical_info: { help: 'Always 1: the version of its canonical.', labels: ['recipe', 'version'] },
  canonical_promoted_timestamp_seconds: {
    help: 'When its canonical was promoted.',
    labels: ['recipe'],
  },
  canonical_snapshot_bytes: {
    help: "The size of its canonical's snapshot; 0 where its data was dropped.",
    labels: ['recipe'],
  },

  last_sweep_start_timestamp_seconds: { help: 'When the last sweep that ended had begun.', labels: [] },
  last_sweep_end_timestamp_seconds: { help: 'When the last sweep ended.', labels: [] },
  last_sweep_verdict: { help: 'Always 1: the verdict of the last sweep.', labels: ['verdict'] },
  last_sweep_recipes: { help: 'How many recipes of the last sweep have this outcome.', labels: ['outcome'] },
  last_sweep_problems: { help: 'What went wrong with the last sweep beside its outcomes.', labels: [] },

  disk_size_bytes: { help: 'The size of the disk of these places.', labels: ['places'] },
  disk_free_bytes: { help: 'What is free there.', labels: ['places'] },
  disk_headroom_bytes: {
    help: 'What must be free there for anything to be deployed (limits.headroom).',
    labels: ['places'],
  },
  disk_wanted_bytes: {
    help: 'The headroom, and what the next sweep takes by the estimate of the last one.',
    labels: ['places'],
  },

  service_state: { help: 'Always 1: how the live service is.', labels: ['service', 'state'] },
  service_last_good_info: {
    help: 'Always 1: the version that was healthy last.',
    labels: ['service', 'version'],
  },
  service_last_good_timestamp_seconds: {
    help: 'Since when that version is the one to come back to.',
    labels: ['service'],
  },
  service_reconciled_timestamp_seconds: {
    help: 'When a reconcile said something of it last.',
    labels: ['service'],
  },

  alerts_open: { help: 'How many alerts of this kind hold.', labels: ['kind'] },
  alert_since_timestamp_seconds: { help: 'Since when an alert holds.', labels: ['kind', 'subject'] },
  alerts_undelivered: {
    help: 'How many alerts this target is still to be told of; the target by the name of its file in alerts/relayed.',
    labels: ['target'],
  },
  alert_undelivered_since_timestamp_seconds: {
    help: 'Since when the first of them waits; absent where none does.',
    labels: ['target'],
  },
  alert_target_failing_since_timestamp_seconds: {
    help: 'Since when the target does not take what it is told; absent where it does.',
    labels: ['target'],
  },

  temporal_up: {
    help: 'Whether the Temporal server answers; where it is 0, all that only it knows is absent: workers, turns, schedules.',
    labels: [],
  },
  workers_polling: { help: "Workers that wait on this host's task queue.", labels: [] },
  worker_last_poll_timestamp_seconds: { help: 'When a worker asked for work last.', labels: [] },
  turn_held_since_timestamp_seconds: {
    help: 'Since when this asker has the host; absent where nobody has it.',
    labels: ['asker', 'what'],
  },
  turns_waiting: { help: 'How many wait for the host.', labels: ['asker'] },
  turn_waiting_since_timestamp_seconds: {
    help: 'Since when the one that waits longest does; absent where none waits.',
    labels: [],
  },
  schedule_exists: { help: 'Whether the Temporal server has the schedule.', labels: ['schedule'] },
  schedule_paused: { help: 'Whether the schedule is paused.', labels: ['schedule'] },
  schedule_next_timestamp_seconds: {
    help: 'When the schedule acts next; absent where it is paused.',
    labels: ['schedule'],
  },
} as const satisfies Record<string, { help: string; labels: readonly string[] }>;

export const PREFIX = 'recipe_sweep_';

export type FamilyName = keyof typeof FAMILIES;

/** One value of a family, with each of its labels. */
export type Sample = {
  [Name in FamilyName]: [
    name: Name,
    labels: Record<(typeof FAMILIES)[Name]['labels'][number], string>,
    value: number,
  ];
}[FamilyName];

/** Seconds since the epoch, of a time in ISO 8601. */
export function seconds(iso: string): number {
  return Date.parse(iso) / 1000;
}

/** Of a label that others wrote; what is longer says nothing more. */
const LONGEST_LABEL = 120;

/** The samples as Prometheus reads them. Families without any are left out, so that what is gone is gone. */
export async function exposition(samples: readonly Sample[]): Promise<string> {
  const registry = new Registry();
  const gauges = new Map<FamilyName, Gauge>();
  for (const [name, labels, value] of samples) {
    let gauge = gauges.get(name);
    if (gauge === undefined) {
      const { help, labels: labelNames } = FAMILIES[name];
      gauge = new Gauge({ name: `${PREFIX}${name}`, help, labelNames, registers: [registry] });
      gauges.set(name, gauge);
    }
    const cut = Object.entries<string>(labels).map(([label, text]) => [label, text.slice(0, LONGEST_LABEL)]);
    gauge.set(Object.fromEntries(cut) as Record<string, string>, value);
  }
  return registry.metrics();
}
