import { log } from '@temporalio/activity';
import { rm } from 'node:fs/promises';
import path from 'node:path';
import { isSameSubject, type AlertKind, type AlertSubject } from '../domain/alert.ts';
import { Fault, FAULTS, messageOf, type FaultType } from '../domain/fault.ts';
import { stackName, warmDomain } from '../domain/names.ts';
import { KEYCLOAK } from '../domain/realm.ts';
import { removeBackups } from '../host/data/backups.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { Holder } from '../host/lock/host-lock.ts';
import { endAlertsThat, raiseAlert } from './alerts.ts';
import { holdingHost, inAttempt, type HostAttempt } from './attempt.ts';
import { reapRealms } from './run-realm.ts';
import { goBack, openService } from './service.ts';
import type { World } from './world.ts';

/** Alerts about what the reaper looks at each time. */
const LOOKED_AT = new Set<AlertKind>(['left-behind', 'not-reaped', 'canonical-unreadable']);

/** Of a canonical: nothing that is to be removed, and an alert of its own. */
const UNUSABLE = new Set<FaultType>(['RecordUnreadable', 'SecretsLost']);

/** Something that a run left and that could not be removed, or put back; or a canonical that cannot be used. */
export interface Left {
  /** The alert that tells of it. */
  kind: 'not-reaped' | 'canonical-unreadable';
  /** Null where it is no recipe's. */
  recipe: string | null;
  /** What, and why. */
  what: string;
}

/**
 * Removes what crashed runs left, judged by our labels alone: cold stacks, warm apps that still run, data in
 * use when its run died. Only for who holds the host: then nothing of the kind can belong to a living run. Of
 * the realms at a live Keycloak it removes those whose run is over.
 * What does not go stops nothing: it is answered, and an alert; the first attempt fails instead where another
 * may do better.
 */
export async function reapLeftovers(world: World, attempt: HostAttempt, run: string): Promise<Left[]> {
  const { deployer, stacks, warm, report, signal, guard } = attempt;
  const left: Left[] = [];
  let passing: Fault | null = null;
  const reaping = async (
    recipe: string | null,
    what: string,
    body: () => Promise<void>,
    unusable: Left['kind'] = 'not-reaped',
  ): Promise<void> => {
    report(`reaping: ${what}`);
    try {
      await body();
    } catch (error) {
      // Only the failure of an attempt that still has the host says something of what is left.
      signal.throwIfAborted();
      await guard();
      if (error instanceof Fault && FAULTS[error.type].retryable) passing = error;
      log.warn('not reaped', { recipe, what, error });
      const kind = isUnusable(error) ? unusable : 'not-reaped';
      left.push({ kind, recipe, what: `${what}: ${messageOf(error)}` });
    }
  };

  const owned = await stacks.owned();
  const unsettled = new Set<string>();
  for (const { stack, recipe, lifetime, running } of owned) {
    if (lifetime === 'cold') {
      log.info('reaping', { stack, recipe });
      await reaping(recipe, `stack ${stack} was not removed`, async () => {
        await deployer.remove({ stack, lifetime });
        passBoundary('reap.after-remove');
      });
    } else if (lifetime === 'warm') {
      if (running) unsettled.add(recipe);
    } else if (lifetime === null) {
      const what = `stack ${stack} was left alone: its labels do not say how long it lives`;
      left.push({ kind: 'not-reaped', recipe: recipe === '' ? null : recipe, what });
    }
  }
  const canonicals = await world.canonicals.list();
  for (const recipe of canonicals) {
    if (await world.canonicals.isAttached(recipe)) unsettled.add(recipe);
  }
  for (const recipe of unsettled) {
    const what = `the warm data of ${recipe} was not put back`;
    await reaping(recipe, what, () => settle(recipe), 'canonical-unreadable');
  }
  for (const recipe of canonicals.filter((name) => !unsettled.has(name))) {
    const what = `the canonical of ${recipe} cannot be used`;
    await reaping(recipe, what, () => warm.check(recipe), 'canonical-unreadable');
  }
  for (const service of await world.services.list()) {
    await reaping(service, `the service ${service} was not put back`, async () => {
      if ((await world.services.underway(service)) === null) return;
      await putServiceBack(world, attempt, service, run);
    });
  }
  await reaping(KEYCLOAK, 'the realms of ended runs were not removed', () => reapRealms(world, attempt));
  await reaping(null, 'checkouts of ended runs were not removed', () =>
    rm(path.join(world.config.state, 'checkouts'), { recursive: true, force: true }),
  );
  await reaping(null, 'archives of ended runs were not removed', () => removeBackups(world.config.state));
  if (passing !== null && attempt.number === 1) throw passing;
  for (const kind of ['canonical-unreadable', 'not-reaped'] as const) {
    for (const [recipe, message] of leftByRecipe(left.filter((one) => one.kind === kind))) {
      await raiseAlert(world, { kind, subject: subjectOf(recipe), message, evidence: null, run });
    }
  }
  // Of what nothing is left, and whose canonical is as its record says, no alert holds any more. While anything is
  // left of a recipe its canonical may not have been read at all.
  await endAlertsThat(world, ({ kind, subject }) => {
    const told = left.filter(({ recipe }) => isSameSubject(subjectOf(recipe), subject));
    const holds = kind === 'not-reaped' ? told.some((one) => one.kind === kind) : told.length > 0;
    return LOOKED_AT.has(kind) && !holds;
  });
  return left;

  function subjectOf(recipe: string | null): AlertSubject {
    return recipe === null ? { is: 'host', name: world.config.host } : { is: 'recipe', name: recipe };
  }

  async function settle(recipe: string): Promise<void> {
    try {
      await warm.settle(recipe);
      passBoundary('reap.after-settle');
    } catch (error) {
      // A canonical that cannot be read, or has lost its secrets, stays as it is, but nothing of it runs on.
      if (!isUnusable(error)) throw error;
      const stack = stackName(warmDomain(recipe, world.config.zone));
      await reaping(recipe, `the warm app of ${recipe} was not stopped`, () =>
        deployer.undeploy({ stack, lifetime: 'warm' }),
      );
      throw error;
    }
  }
}

/** A service of which a change was begun and not ended. */
async function putServiceBack(
  world: World,
  attempt: HostAttempt,
  service: string,
  run: string,
): Promise<void> {
  const opened = await openService(world, attempt, { service, asked: { id: run, runId: '' } });
  const undone = await goBack(world, opened);
  passBoundary('reap.after-settle');
  if (undone?.back !== false) return;
  const { why: message, evidence } = undone;
  await raiseAlert(world, {
    kind: 'service-down',
    subject: { is: 'recipe', name: service },
    message,
    evidence,
    run,
  });
}

function isUnusable(error: unknown): boolean {
  return error instanceof Fault && UNUSABLE.has(error.type);
}

/** What is left of each recipe, in one text. */
export function leftByRecipe(left: readonly Left[]): Map<string | null, string> {
  const byRecipe = new Map<string | null, string>();
  for (const { recipe, what } of left) {
    const before = byRecipe.get(recipe);
    byRecipe.set(recipe, before === undefined ? what : `${before}; ${what}`);
  }
  return byRecipe;
}

export function reap(world: World) {
  return {
    /**
     * Reaps by itself: when a worker starts, and after a run that could not remove all of its own. Answers what
     * could not be reaped. Throws HostBusy.
     */
    async reap({ holder }: { holder: Holder }): Promise<Left[]> {
      return holdingHost(world, [holder], 'reap', (attempt) =>
        reapLeftovers(world, attempt, holder.workflowId),
      );
    },

    /** Gives the host back, if this holder has it. */
    async giveBackHost({ holder }: { holder: Holder }): Promise<void> {
      // An attempt that stood still must not give back what the holder has taken again since.
      const asOf = world.now();
      return inAttempt(world, () => world.lock.giveBack(holder, asOf));
    },
  };
}
