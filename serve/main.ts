import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../domain/fault.ts';
import { createForge } from '../forge/gitea.ts';
import type { Config } from '../host/config/config.ts';
import { forgeAccess, mirrorOnForge, type ForgeAccess } from '../host/config/forge-access.ts';
import { webhookSecret } from '../host/config/webhook-secret.ts';
import { openLog } from '../host/machine/log.ts';
import { createRecipes } from '../host/recipes/recipes.ts';
import { createSeenComments } from '../host/store/seen-comments.ts';
import { createMetrics } from '../metrics/collector.ts';
import { createDeliveries, type Deliveries, type Log } from './deliveries.ts';
import { createHealth } from './health.ts';
import { keepLooking, lookForMissed } from './missed.ts';
import { patientForge } from './patient-forge.ts';
import { consider, type AskedForge, type Mirror } from './requests.ts';
import { createDoors, LIMITS, listen } from './server.ts';
import { openTemporal, type Temporal } from './temporal.ts';

/** Gitea writes the event of a push in a queue of its own, mostly within a second. */
const PUSH_TOLD_MS = 2_000;

export interface ServeOptions {
  /** Ends it. */
  signal: AbortSignal;
  /** Where the log goes, one JSON object a line; standard output when it is not given. */
  logFile?: string;
  /** Called with the address once it listens. */
  onReady?: (address: string) => void;
}

/** Of one question to the forge. What it cannot answer by then is asked again later. */
const PATIENCE_MS = 30_000;
/** So many comments wait to be looked at. */
const MOST_WAITING = 1000;
/** How often strangers can have the forge and the Temporal server asked. */
const HEALTH_FRESH_MS = 5_000;
const HEALTH_PATIENCE_MS = 4_000;
/** How often the disk and the Temporal server are looked at for whoever scrapes. */
const METRICS_FRESH_MS = 5_000;
const PACE = { everyMs: 3_600_000, soonMs: 60_000 };

/**
 * Shows the report site and the numbers, and is the bridge between the forge and the Temporal server where there is a forge,
 * until the signal. None of them needs to answer when it starts. Throws Fault BadConfig where the configuration lacks what it
 * needs.
 */
export async function runServe(config: Config, { signal, logFile, onReady }: ServeOptions): Promise<void> {
  const { host, state } = config;
  const access = await forgeAccess(config);
  const secret = access === null ? null : await webhookSecret(config.serve);
  const log = openLog(host, logFile);
  const temporal = await openTemporal(config);

  const ending = new AbortController();
  const end = (): void => ending.abort(new Fault('Network', 'serve ends'));
  if (signal.aborted) end();
  signal.addEventListener('abort', end, { once: true });

  const bridge =
    access === null || secret === null
      ? null
      : bridgeTo(access, { config, temporal, log, signal: ending.signal });
  const health = createHealth(
    { temporal: () => temporal.look(), ...(bridge === null ? {} : { forge: () => bridge.login() }) },
    HEALTH_FRESH_MS,
  );
  const metrics = createMetrics({ config, look: () => temporal.view() }, METRICS_FRESH_MS);
  const webhook = bridge === null || secret === null ? null : { secret, deliveries: bridge.deliveries };
  const doors = createDoors({ webhook, health, metrics, evidence: { state, host }, log, limits: LIMITS });
  try {
    const open = await listen(doors, config.serve.listen, { limits: LIMITS, log });
    try {
      log.info({ listen: open.address, forge: config.forge?.url ?? null }, 'serve listens');
      onReady?.(open.address);
      await (bridge?.look() ?? ended(ending.signal));
    } finally {
      await open.close();
      log.info({}, 'serve ends');
    }
  } finally {
    signal.removeEventListener('abort', end);
    await temporal.close();
  }
}

async function ended(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await once(signal, 'abort');
}

interface Bridge {
  deliveries: Deliveries;
  /** Throws where the forge does not answer, or does not let us in. */
  login(): Promise<unknown>;
  /** Looks for comments that nobody told of, until the signal. */
  look(): Promise<void>;
}

/** From the forge's comments to workflows. */
function bridgeTo(
  access: ForgeAccess,
  { config, temporal, log, signal }: { config: Config; temporal: Temporal; log: Log; signal: AbortSignal },
): Bridge {
  const { host, state } = config;
  const askedFor = (patienceMs: number): AskedForge =>
    patientForge((until) => createForge({ ...access, signal: until }), patienceMs, signal);
  const forge = askedFor(PATIENCE_MS);
  const mirrors = (): Promise<Mirror[]> => mirrorsOf(config);
  let left = (): void => undefined;
  const deliveries = createDeliveries({
    most: MOST_WAITING,
    consider: async (hint) => {
      const untilTold = (): Promise<void> => sleep(PUSH_TOLD_MS);
      return consider(hint, { host, forge, starter: temporal, mirrors: await mirrors(), untilTold });
    },
    onLeft: () => left(),
    log,
  });
  const seen = createSeenComments(state);
  return {
    deliveries,
    login: () => askedFor(HEALTH_PATIENCE_MS).login(),
    async look() {
      const looking = keepLooking(
        () => lookForMissed({ forge, mirrors, seen, consider: deliveries.take, now: new Date(), log }),
        PACE,
        signal,
      );
      ({ left } = looking);
      await looking.ended;
    },
  };
}

/** Those enrolled recipes whose mirrors are on the forge. */
async function mirrorsOf(config: Config): Promise<Mirror[]> {
  const all = await createRecipes(config.recipes).all();
  return all.flatMap(({ recipe, exception }) => {
    const repository = exception === null ? mirrorOnForge(config, recipe) : null;
    return repository === null ? [] : [{ recipe, repository }];
  });
}
