import { overdueAlerts } from '../alerts/overdue.ts';
import { messageOf } from '../domain/fault.ts';
import { alertAccess, alertTargets } from '../host/config/alert-targets.ts';
import type { Config } from '../host/config/config.ts';
import type { Prerequisite } from '../host/prerequisites.ts';
import { formatTime } from '../domain/quantities.ts';

/** Whether who is to be told of alerts is told of them, as far as it shows without telling anybody. */
export async function checkAlertTargets(config: Config, now: Date): Promise<Prerequisite> {
  const name = 'alert targets';
  const targets = alertTargets(config.alerts);
  if (targets.length === 0) {
    return { name, ok: true, found: 'none; alerts are files alone (docs/alerts.md)', how: '' };
  }
  const how = 'recipe-sweep alert test tries each of them (docs/alerts.md)';
  try {
    const wrong: string[] = [];
    for (const target of targets) {
      await alertAccess(target).catch((error: unknown) => wrong.push(messageOf(error)));
    }
    const { overdue, unseen, unreadable } = await overdueAlerts(config, now);
    for (const { alert, target, since, error } of overdue) {
      const why = error ?? 'nothing was tried: is there a worker?';
      wrong.push(`${alert}: owed to ${target} since ${formatTime(new Date(since))}: ${why}`);
    }
    wrong.push(...unseen.map((target) => `${target}: no worker knows of it: start the worker anew`));
    wrong.push(...unreadable);
    return wrong.length > 0
      ? { name, ok: false, found: wrong.join('\n'), how }
      : { name, ok: true, found: targets.map((target) => target.name).join(', '), how: '' };
  } catch (error) {
    return { name, ok: false, found: messageOf(error), how };
  }
}
