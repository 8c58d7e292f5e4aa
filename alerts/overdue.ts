import { messageOf } from '../domain/fault.ts';
import { owedOf, UNTOLD } from '../domain/telling.ts';
import { alertTargets } from '../host/config/alert-targets.ts';
import type { Config } from '../host/config/config.ts';
import { alertId, createAlerts } from '../host/store/alerts.ts';
import { createRelayed } from '../host/store/relayed.ts';

/** An alert that a target should have been told of more than a day ago. */
export interface Overdue {
  /** The alert's file. */
  alert: string;
  target: string;
  /** Since when, in ISO 8601, UTC. */
  since: string;
  /** Why it did not take it when it was tried last; null where nothing was tried. */
  error: string | null;
}

const OVERDUE_MS = 24 * 60 * 60_000;

/**
 * What is overdue, as it stands on disk; targets that no worker has looked at; and what of this cannot be read.
 */
export async function overdueAlerts(
  { state, alerts: settings }: Pick<Config, 'state' | 'alerts'>,
  now: Date,
): Promise<{ overdue: Overdue[]; unseen: string[]; unreadable: string[] }> {
  const alerts = createAlerts(state);
  const relayed = createRelayed(state);
  const targets = alertTargets(settings);
  const [overdue, unseen, unreadable]: [Overdue[], string[], string[]] = [[], [], []];
  if (targets.length === 0) return { overdue, unseen, unreadable };
  const [open, over] = [await alerts.open(), await alerts.over()];
  for (const { key, name } of targets) {
    const record = await relayed.read(key).catch((error: unknown) => {
      unreadable.push(messageOf(error));
      return undefined;
    });
    if (record === null) unseen.push(name);
    if (record === null || record === undefined) continue;
    const { alerts: told, failing, since: toldSince } = record;
    for (const alert of [...open.alerts, ...over.alerts]) {
      const owed = owedOf(alert, told[alertId(alert)] ?? UNTOLD, toldSince, now);
      if (owed === null) continue;
      // When its message changed first, nobody knows: each time that it is seen again it is written anew.
      const since = owed.telling === 'changed' ? (failing?.since ?? owed.since) : owed.since;
      if (now.getTime() - Date.parse(since) < OVERDUE_MS) continue;
      overdue.push({ alert: alert.file, target: name, since, error: failing?.error ?? null });
    }
  }
  return { overdue, unseen, unreadable: [...unreadable, ...over.unreadable] };
}
