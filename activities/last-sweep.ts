import { environmentChanges, rosterAfter, type SweepEnvironment } from '../domain/environment.ts';
import { messageOf } from '../domain/fault.ts';
import type { LastSweep } from '../domain/report.ts';
import type { HostAttempt } from './attempt.ts';
import { endAlertsThat, raiseAlert } from './alerts.ts';
import type { World } from './world.ts';

/** A sweep that opens beside the last one: the host's environment, and which recipes are enrolled. */
export interface Beginning {
  /** The sweep's workflow ID. */
  run: string;
  /** Of a sweep of all recipes, these; null of one that was told which. */
  enrolled: readonly string[] | null;
}

/**
 * Compares a sweep with the last one, and leaves what the next will ask for. Answers a line for each recipe that was swept
 * and is not enrolled any more without a word of why, and for what could not be compared; an alert tells of each such
 * recipe. Done again for the same sweep it comes to the same.
 */
export async function compareWithLast(
  world: World,
  attempt: Pick<HostAttempt, 'commands' | 'guard'>,
  beginning: Beginning,
): Promise<string[]> {
  const { reports } = world;
  const problems: string[] = [];
  const noted = async <T>(what: string, without: T, body: () => Promise<T>): Promise<T> => {
    try {
      return await body();
    } catch (error) {
      problems.push(`${what}: ${messageOf(error)}`);
      return without;
    }
  };
  const last = await noted('not compared with the last sweep', null, () => reports.last());
  const again = last?.sweep === beginning.run;
  const environment = await noted('the environment of this host was not looked at', null, () =>
    environmentSince(world, attempt, last, again),
  );
  await attempt.guard();
  const { roster, gone, notes } = await compareRosters(world, last, beginning);
  await noted('nothing is left for the next sweep to compare itself with', undefined, () =>
    reports.writeLast({
      schema: 1,
      sweep: beginning.run,
      environment,
      notes: [...new Set([...(again ? last.notes : []), ...notes])],
      roster,
    }),
  );
  return [...problems, ...gone];
}

/** A recipe that a sweep of all recipes leaves out. */
export interface LeftOut {
  recipe: string;
  /** Why, and what is left of it here. */
  why: string;
  /** It was swept before, and nobody has said why it is not any more. */
  gone: boolean;
  /** Of its canonical, or of a live service what was healthy there last; null where there is none that is known. */
  version: string | null;
}

/** The recipes with a folder that are not enrolled, and those that are gone since the last sweep of all, by name. */
export async function leftOut(world: World): Promise<LeftOut[]> {
  const { recipes, canonicals, services, reports, now } = world;
  const all = await recipes.all();
  const found: LeftOut[] = [];
  for (const { recipe, exception, live } of all) {
    if (exception === null) continue;
    const record = live ? services.lastGood(recipe) : canonicals.read(recipe);
    const version = await record.then(
      (one) => one?.version ?? null,
      () => null,
    );
    found.push({ recipe, why: exception, gone: false, version });
  }
  const roster = (await reports.last().catch(() => null))?.roster ?? null;
  if (roster !== null) {
    const there = all.map(({ recipe }) => recipe);
    const { gone } = rosterAfter(roster, { enrolled: there, exceptions: [] }, now().toISOString());
    for (const [recipe, since] of Object.entries(gone)) {
      const version = await canonicals.read(recipe).then(
        (record) => record?.version ?? null,
        () => null,
      );
      found.push({ recipe, why: await goneLine(world, recipe, since), gone: true, version });
    }
  }
  return found.sort((a, b) => (a.recipe < b.recipe ? -1 : 1));
}

async function environmentSince(
  world: World,
  { commands }: Pick<HostAttempt, 'commands'>,
  last: LastSweep | null,
  again: boolean,
): Promise<SweepEnvironment> {
  const now = await world.environment(commands);
  const before = last?.environment ?? null;
  if (before === null) return { ...now, changed: null };
  // What an attempt that was cut short has compared is compared with what came before the sweep.
  const changed = again ? before.changed : environmentChanges(before.parts, now.parts);
  return { ...now, changed };
}

async function compareRosters(
  world: World,
  last: LastSweep | null,
  { run, enrolled }: Beginning,
): Promise<{ roster: LastSweep['roster']; gone: string[]; notes: string[] }> {
  const before = last?.roster ?? null;
  if (enrolled === null) return { roster: before, gone: [], notes: [] };
  const { recipes, now } = world;
  const reasons = new Map(
    (await recipes.all()).flatMap(({ recipe, exception }) =>
      exception === null ? [] : [[recipe, exception] as const],
    ),
  );
  const exceptions = [...reasons.keys()];
  const known = before ?? { enrolled: [], gone: {} };
  const { explained, ...roster } = rosterAfter(known, { enrolled, exceptions }, now().toISOString());
  const gone: string[] = [];
  for (const [recipe, since] of Object.entries(roster.gone)) {
    const message = await goneLine(world, recipe, since);
    gone.push(message);
    const subject = { is: 'recipe', name: recipe } as const;
    await raiseAlert(world, { kind: 'recipe-gone', subject, message, evidence: null, run });
  }
  // Also one that is on no record any more.
  const accountedFor = new Set([...enrolled, ...exceptions]);
  await endAlertsThat(world, ({ kind, subject }) => kind === 'recipe-gone' && accountedFor.has(subject.name));
  const notes = explained.map(
    (recipe) => `${recipe} was swept before and is not enrolled any more: ${reasons.get(recipe)}`,
  );
  return { roster, gone, notes };
}

/** What is gone, since when, and what is left of it. */
async function goneLine({ canonicals, config }: World, recipe: string, since: string): Promise<string> {
  const left = await canonicals.read(recipe).then(
    (record) => (record === null ? 'it has no canonical' : `its canonical ${record.version} stays`),
    () => 'its canonical cannot be read, and stays',
  );
  return `${recipe} was swept before and has no folder in ${config.recipes} any more, since ${since}: ${left}`;
}
