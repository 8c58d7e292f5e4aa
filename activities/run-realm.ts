import { log } from '@temporalio/activity';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { Fault, messageOf, type FaultType } from '../domain/fault.ts';
import { coldDomain, stackName, warmDomain } from '../domain/names.ts';
import { KEYCLOAK, realmName, redirectUris, type RealmMark } from '../domain/realm.ts';
import type { RunRef } from '../domain/run.ts';
import type { Realms } from '../host/keycloak/realms.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { HostAttempt } from './attempt.ts';
import { dependencyDomain } from './cold-dependency.ts';
import { dependenciesOf } from './dependencies.ts';
import type { World } from './world.ts';

/** The realm of a run: made when a Keycloak is provided for it, and gone with it. */

/** Makes the run's realm in the Keycloak that was provided for it. */
export async function giveRealm(
  world: World,
  attempt: HostAttempt,
  run: RunRef,
  keycloak: ProvidedDependency,
): Promise<ProvidedDependency> {
  const { stack, domain } = keycloak;
  const name = realmName(run);
  const realm = { name, clientId: run.recipe, user: name };
  const isLive = domain === liveDomain(world);
  if (isLive) {
    await attempt.guard();
    await world.madeRealms.mark(name);
    passBoundary('realm.after-mark');
  }
  attempt.report(`making the realm ${name} at ${domain}`);
  const wanted = {
    ...realm,
    mark: markOf(world, run),
    secrets: await world.realmKey.secretsOf(realm),
    redirectUris: redirectUris(await domainsOf(world, run)),
  };
  const realms = attempt.realmsAt({ stack, domain, lifetime: isLive ? 'live' : 'cold' });
  const { issuer } = await attempt.spend('app', () => realms.create(wanted));
  passBoundary('realm.after-create');
  return { ...keycloak, realm: { ...realm, issuer } };
}

/** Removes the run's realm at the live Keycloak, if one was made there. What a cold one has goes with it. */
export async function takeRealmBack(world: World, attempt: HostAttempt, run: RunRef): Promise<void> {
  const name = realmName(run);
  if (!(await world.madeRealms.all()).includes(name)) return;
  attempt.report(`removing the realm ${name} at ${liveDomain(world)}`);
  await liveRealms(world, attempt).remove(name, markOf(world, run));
  passBoundary('realm.after-remove');
  await attempt.guard();
  await world.madeRealms.clear(name);
  passBoundary('realm.after-clear');
}

/** What says of a Keycloak that it is away, or comes again: the next reap finds the same realms. */
const AWAY = new Set<FaultType>(['Dependency', 'Daemon', 'Network']);

/** Removes the realms at the live Keycloak of runs whose workflow is not open any more. One that is away stops nothing. */
export async function reapRealms(world: World, attempt: HostAttempt): Promise<void> {
  if ((await world.services.lastGood(KEYCLOAK)) === null) return;
  if ((await attempt.stacks.deployed(stackName(liveDomain(world)))) === null) return;
  const left = new Set<string>();
  try {
    const realms = liveRealms(world, attempt);
    for (const { name, mark } of await realms.ours()) {
      if (await world.turns.isOpen(mark.workflow)) {
        left.add(name);
        continue;
      }
      log.info('reaping', { realm: name, recipe: mark.recipe });
      await realms.remove(name, mark);
      passBoundary('realm.after-remove');
    }
  } catch (error) {
    if (!(error instanceof Fault && AWAY.has(error.type))) throw error;
    log.warn('the realms of ended runs stay until the next reap', { error: messageOf(error) });
    return;
  }
  for (const name of await world.madeRealms.all()) {
    if (left.has(name)) continue;
    await attempt.guard();
    await world.madeRealms.clear(name);
    passBoundary('realm.after-clear');
  }
}

function liveDomain({ config }: Pick<World, 'config'>): string {
  return warmDomain(KEYCLOAK, config.zone);
}

function liveRealms(world: Pick<World, 'config'>, { realmsAt }: Pick<HostAttempt, 'realmsAt'>): Realms {
  const domain = liveDomain(world);
  return realmsAt({ stack: stackName(domain), domain, lifetime: 'live' });
}

function markOf({ config }: Pick<World, 'config'>, { recipe, workflow }: RunRef): RealmMark {
  return { zone: config.zone, recipe, workflow };
}

/** Where the run's apps are that log people in: its own, tested or promoted, and what it needs beside it. */
async function domainsOf(world: World, run: RunRef): Promise<string[]> {
  const { zone } = world.config;
  const { recipe, workflow } = run;
  const domains = [coldDomain(recipe, zone, workflow.runId), warmDomain(recipe, zone)];
  for (const beside of await dependenciesOf(world, recipe)) {
    const { deps } = await world.recipes.one(beside);
    if (deps.includes(KEYCLOAK)) domains.push(dependencyDomain(world, { run, recipe: beside }));
  }
  return domains;
}
