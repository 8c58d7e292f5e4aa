import { ALERT_KINDS } from '../domain/alert.ts';
import { owedOf, UNTOLD } from '../domain/telling.ts';
import type { AlertTarget } from '../host/config/alert-targets.ts';
import { alertId, type AlertInFile } from '../host/store/alerts.ts';
import type { Relayed } from '../host/store/relayed.ts';
import { seconds, type Sample } from './families.ts';

/** How many hold of each kind, and each of them. */
export function alertSamples(open: readonly AlertInFile[]): Sample[] {
  return [
    ...ALERT_KINDS.map((kind): Sample => [
      'alerts_open',
      { kind },
      open.filter((alert) => alert.kind === kind).length,
    ]),
    // Of several files of one alert, as earlier versions wrote them, the oldest counts.
    ...[...open]
      .sort((one, other) => (one.since < other.since ? 1 : -1))
      .map(({ kind, subject, since }): Sample => [
        'alert_since_timestamp_seconds',
        { kind, subject: subject.name },
        seconds(since),
      ]),
  ];
}

/**
 * What each target is still owed, and whether it takes what it is told. It is called by its key, which is no secret: its
 * name may be somebody's address. Of one that no worker has looked at yet everything that holds waits.
 */
export async function targetSamples(
  targets: readonly AlertTarget[],
  relayed: Pick<Relayed, 'read'>,
  alerts: readonly AlertInFile[],
  now: Date,
): Promise<{ samples: Sample[]; unreadable: number }> {
  const samples: Sample[] = [];
  let unreadable = 0;
  for (const { key: target } of targets) {
    const record = await relayed.read(target).catch(() => undefined);
    if (record === undefined) {
      unreadable += 1;
      continue;
    }
    const holds = alerts.filter(({ ended }) => record !== null || ended === null);
    const told = record?.alerts ?? {};
    const owed = holds.flatMap((alert) => {
      const one = owedOf(alert, told[alertId(alert)] ?? UNTOLD, record?.since ?? alert.since, now);
      return one === null ? [] : [one.since];
    });
    samples.push(['alerts_undelivered', { target }, owed.length]);
    const [first] = owed.sort();
    if (first !== undefined) {
      samples.push(['alert_undelivered_since_timestamp_seconds', { target }, seconds(first)]);
    }
    const failing = record?.failing?.since;
    if (failing !== undefined) {
      samples.push(['alert_target_failing_since_timestamp_seconds', { target }, seconds(failing)]);
    }
  }
  return { samples, unreadable };
}
