import type { AlertKind } from '../domain/alert.ts';
import type { FleetRecipe } from '../host/fleet.ts';
import type { AlertInFile } from '../host/store/alerts.ts';
import type { Services } from '../host/store/services.ts';
import { seconds, type Sample } from './families.ts';

/** How a live service is, the worst first. */
const SERVICE_STATES = [
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
type ServiceState = (typeof SERVICE_STATES)[number];

const STATE_OF_ALERT: Partial<Record<AlertKind, ServiceState>> = {
  'service-down': 'down',
  'service-not-reconciled': 'not-reconciled',
  'service-not-adopted': 'not-adopted',
  'service-rolled-back': 'rolled-back',
  'service-held': 'waits',
};

export interface ServiceSigns {
  /** Whether a rollback failed, and nobody has seen to it. */
  isStopped: boolean;
  /** Whether an operator holds it, by a command or in its recipe.yml. */
  isHeld: boolean;
  /** Whether it ever was healthy under our eyes. */
  wasHealthy: boolean;
  /** Of its open alerts. */
  kinds: readonly AlertKind[];
}

/** What is on record of a service comes to one word. */
export function serviceState({ isStopped, isHeld, wasHealthy, kinds }: ServiceSigns): ServiceState {
  const are = new Set<ServiceState>(kinds.flatMap((kind) => STATE_OF_ALERT[kind] ?? []));
  if (isStopped) are.add('rollback-failed');
  if (isHeld) are.add('held');
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
  const live = fleet.filter(({ folder }) => folder?.live === true);
  const names = [...new Set([...live.map(({ recipe }) => recipe), ...(await services.list())])].sort();
  const held = new Set(live.filter(({ folder }) => folder?.hold !== null).map(({ recipe }) => recipe));
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
      const state = serviceState({
        isStopped: orders.stopped !== null,
        isHeld: orders.hold !== null || held.has(service),
        wasHealthy: lastGood !== null,
        kinds,
      });
      samples.push(['service_state', { service, state }, 1]);
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
