import type { AlertKind } from '../domain/alert.ts';
import type { FleetRecipe } from '../host/fleet.ts';
import type { AlertInFile } from '../host/store/alerts.ts';
import type { Orders, Services } from '../host/store/services.ts';
import { seconds, type Sample } from './families.ts';

/** How a live service is, the worst first. */
export const SERVICE_STATES = [
  /** A rollback failed: nothing is reconciled until an operator has seen to it. */
  'rollback-failed',
  'down',
  'not-reconciled',
  'not-adopted',
  'rolled-back',
  /** Its latest release waits for an operator's approval. */
  'waits',
  /** An operator holds it. */
  'held',
  'not-deployed',
  'healthy',
] as const;
export type ServiceState = (typeof SERVICE_STATES)[number];

const STATE_OF_ALERT: Partial<Record<AlertKind, ServiceState>> = {
  'service-down': 'down',
  'service-not-reconciled': 'not-reconciled',
  'service-not-adopted': 'not-adopted',
  'service-rolled-back': 'rolled-back',
  'service-held': 'waits',
};

/** What its orders, its open alerts, and whether it ever was healthy come to. */
export function serviceState(
  { stopped, hold }: Pick<Orders, 'stopped' | 'hold'>,
  kinds: readonly AlertKind[],
  wasHealthy: boolean,
): ServiceState {
  const are = new Set<ServiceState>(kinds.flatMap((kind) => STATE_OF_ALERT[kind] ?? []));
  if (stopped !== null) are.add('rollback-failed');
  if (hold !== null) are.add('held');
  if (!wasHealthy) are.add('not-deployed');
  return SERVICE_STATES.find((state) => are.has(state)) ?? 'healthy';
}

/**
 * What is to be told of each live service: of recipes that are live, and of what was looked after and has lost its folder.
 * One whose records cannot be read is `unreadable`, and holds up no other.
 */
export async function serviceSamples(
  fleet: readonly FleetRecipe[],
  services: Pick<Services, 'list' | 'lastGood' | 'orders' | 'history'>,
  alerts: readonly AlertInFile[],
): Promise<{ samples: Sample[]; unreadable: number }> {
  const live = fleet.filter(({ folder }) => folder?.live === true).map(({ recipe }) => recipe);
  const names = [...new Set([...live, ...(await services.list())])].sort();
  const samples: Sample[] = [];
  let unreadable = 0;
  for (const service of names) {
    try {
      const [lastGood, orders, history] = await Promise.all([
        services.lastGood(service),
        services.orders(service),
        services.history(service),
      ]);
      const kinds = alerts
        .filter(({ subject }) => subject.is === 'recipe' && subject.name === service)
        .map(({ kind }) => kind);
      samples.push(['service_state', { service, state: serviceState(orders, kinds, lastGood !== null) }, 1]);
      if (lastGood !== null) {
        samples.push(
          ['service_last_good_info', { service, version: lastGood.version }, 1],
          ['service_last_good_timestamp_seconds', { service }, seconds(lastGood.ts)],
        );
      }
      const told = history.at(-1);
      if (told !== undefined) {
        samples.push(['service_reconciled_timestamp_seconds', { service }, seconds(told.ts)]);
      }
    } catch {
      unreadable += 1;
    }
  }
  return { samples, unreadable };
}
