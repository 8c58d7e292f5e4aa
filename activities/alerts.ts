import { log } from '@temporalio/activity';
import type { Alert, AlertKind, AlertSubject } from '../domain/alert.ts';
import type { World } from './world.ts';

/** Raises one about what is on record by now, and stays so where nobody can be told. */
export async function raiseAlert(world: World, alert: Alert): Promise<void> {
  try {
    await world.alerts.raise(alert, world.now());
  } catch (error) {
    log.warn('an alert was not raised', { alert, error });
  }
}

/** Ends an alert that is over. Where that fails it holds until the next time, and costs what was done nothing. */
export async function endAlert(world: World, kind: AlertKind, subject: AlertSubject): Promise<void> {
  try {
    await world.alerts.end(kind, subject, world.now());
  } catch (error) {
    log.warn('an alert that is over still stands', { kind, subject, error });
  }
}

/** The same of all that hold and are over. */
export async function endAlertsThat(world: World, areOver: (alert: Alert) => boolean): Promise<void> {
  try {
    const { alerts } = await world.alerts.open();
    for (const alert of alerts.filter(areOver)) await endAlert(world, alert.kind, alert.subject);
  } catch (error) {
    log.warn('alerts were not looked at', { error });
  }
}
