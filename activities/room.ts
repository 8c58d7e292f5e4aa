import { log } from '@temporalio/activity';
import {
  dataToDrop,
  diskText,
  estimate,
  estimateText,
  mostText,
  NO_NEED,
  shortDisks,
  type Disk,
  type DiskReport,
} from '../domain/disk.ts';
import { messageOf } from '../domain/fault.ts';
import { knownRoom } from '../host/room.ts';
import { endAlert, raiseAlert } from './alerts.ts';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** The room of this host as sweeps mind it: what one takes, what goes where there is less, and how that is told. */

/** Which disks have less free than the headroom and what a sweep of these recipes takes. */
export async function shortOfRoom(world: World, recipes: readonly string[]): Promise<Disk[]> {
  const { swept, known } = await knownRoom(world, recipes);
  return shortDisks(await world.disks(), world.config.limits.headroom, estimate(swept, known));
}

/**
 * Where room is short, drops the data of canonicals by the rule of dataToDrop(), one after the other until there is enough.
 * Records stay, and say why. Raises or ends the alert about it. Answers what was dropped and what is short still, one line
 * each; neither stops a sweep. Only for who holds the host, once what nobody needs is gone.
 */
export async function makeRoom(
  world: World,
  { warm, report, signal, guard }: Pick<HostAttempt, 'warm' | 'report' | 'signal' | 'guard'>,
  recipes: readonly string[],
  run: string,
): Promise<string[]> {
  const { headroom } = world.config.limits;
  const problems: string[] = [];
  const look = async () => ({
    disks: await world.disks(),
    headroom,
    ...(await knownRoom(world, recipes)),
  });
  const before = await look();
  const need = estimate(before.swept, before.known);
  const lacking = shortDisks(before.disks, headroom, need).map((disk) => diskText(disk, headroom, need));
  const why = [...lacking, mostText({ ...need, unknown: [] })].filter((part) => part !== '').join('; ');
  const { drop, reaches } = dataToDrop(before);
  for (const { record } of drop) {
    const now = await look();
    const goal = reaches === 'estimate' ? estimate(now.swept, now.known) : NO_NEED;
    if (shortDisks(now.disks, headroom, goal).length === 0) break;
    const { recipe, version } = record;
    report(`dropping the data of ${recipe}`);
    log.warn('dropping data for want of room', { recipe, version, why });
    try {
      await guard();
      await warm.drop(record, { run, why });
    } catch (error) {
      signal.throwIfAborted();
      await guard();
      log.warn('the data was not dropped', { recipe, error });
      problems.push(`the data of ${recipe} ${version} was not dropped for want of room: ${messageOf(error)}`);
    }
  }
  // By what is on record, since an earlier attempt may have dropped some.
  for (const { recipe, version, why: reason } of await droppedBy(world, run)) {
    problems.push(`the data of ${recipe} ${version} was dropped for want of room: ${reason}`);
  }
  const after = await look();
  const then = estimate(after.swept, after.known);
  const short = shortDisks(after.disks, headroom, then).map((disk) => diskText(disk, headroom, then));
  if (short.length > 0) {
    const rest = reaches === 'estimate' ? '' : '; the data of all canonicals together would not make enough';
    problems.push(`room is short: ${[...short, estimateText(then)].join('; ')}${rest}`);
  }
  const subject = { is: 'host', name: world.config.host } as const;
  if (problems.length === 0) await endAlert(world, 'disk-short', subject);
  else {
    const message = problems.join('\n');
    await raiseAlert(world, { kind: 'disk-short', subject, message, evidence: null, run });
  }
  return problems;
}

/** How room stands, and what the next sweep of all that are enrolled takes of it. */
export async function diskReport(world: World, run: string): Promise<DiskReport> {
  const { swept, known } = await knownRoom(world, null);
  return {
    headroom: world.config.limits.headroom,
    disks: await world.disks(),
    next: estimate(swept, known),
    dropped: await droppedBy(world, run),
  };
}

/** Canonicals whose data this sweep dropped, whatever it promoted since. */
async function droppedBy({ canonicals }: World, run: string): Promise<DiskReport['dropped']> {
  const found: DiskReport['dropped'] = [];
  for (const name of await canonicals.list()) {
    const history = await canonicals.history(name).catch(() => []);
    for (const { recipe, version, droppedBy: by } of history) {
      if (by?.run === run) found.push({ recipe, version, why: by.why });
    }
  }
  return found;
}
