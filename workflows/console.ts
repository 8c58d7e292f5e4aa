import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  isCancellation,
  setCurrentDetails,
  setHandler,
} from '@temporalio/workflow';
import { blameText } from '../domain/blame.ts';
import { briefOutcome, outcomeReason, outcomeTitle, type Outcome } from '../domain/outcome.ts';
import { isRecipeName } from '../domain/names.ts';
import { quotableMarkdown } from '../domain/printable.ts';
import { countOutcomes } from '../domain/report.ts';
import { inOrderOf, newsAmong, NO_NEWS, type ToldStanding } from '../domain/standing.ts';
import {
  abortUpdate,
  pauseUpdate,
  progressQuery,
  recipeWorkflowId,
  resumeUpdate,
  skipUpdate,
  type RecipeProgress,
  type SweepProgress,
  type SweepResult,
} from './protocol.ts';

/** What a sweep tells its operators and what they tell it. */
export interface Console {
  /** The sweep is open: these recipes, in this order. */
  begin(recipes: readonly string[]): void;
  /** The next recipe that waits, or null. */
  next(): string | null;
  /** Every recipe that still waits. */
  waiting(): string[];
  /** Every recipe of the sweep. */
  all(): string[];
  /** Every recipe that has an outcome by now, and that. */
  outcomes(): Record<string, Outcome>;
  /** Says that the sweep waits for its turn while this goes on, which an abort ends. */
  whileWaiting(body: () => Promise<void>): Promise<void>;
  /** Returns at once, or when an operator resumes a paused sweep, or aborts it, or when its time is over. */
  mayGoOn(deadlineMs: number): Promise<void>;
  /** Why an operator skips this recipe, or null. */
  skipped(recipe: string): string | null;
  /** A recipe's run, which abort cancels by its scope. */
  running(recipe: string, scope: CancellationScope): void;
  ended(recipe: string, outcome: Outcome): void;
  reporting(): void;
  /** What its end has to tell beside the outcomes. */
  done(told: ToldEnd): void;
  readonly aborting: boolean;
  /** Since when it is paused, in milliseconds since the epoch; null when it is not. */
  readonly pausedMs: number | null;
  /** What the next run of a long sweep must know. */
  carry(): CarriedConsole;
}

/** Of what an older version answered both are missing. */
type ToldEnd = Pick<SweepResult, 'standings' | 'site'>;

export interface CarriedConsole {
  recipes: RecipeProgress[];
  pausedMs: number | null;
  aborting: boolean;
  skips: [recipe: string, reason: string][];
}

export function openConsole(sweepId: string, carried: CarriedConsole | null): Console {
  const skips = new Map(carried?.skips);
  let pausedMs = carried?.pausedMs ?? null;
  let aborting = carried?.aborting ?? false;
  const sweeping = (): SweepProgress['state'] => (aborting ? 'aborting' : 'sweeping');
  const progress: SweepProgress = {
    sweep: sweepId,
    state: carried ? sweeping() : 'preparing',
    recipes: carried?.recipes ?? [],
  };
  let current: { recipe: string; scope: CancellationScope } | null = null;
  let waiting: CancellationScope | null = null;

  const entryOf = (recipe: string): RecipeProgress | undefined =>
    progress.recipes.find((entry) => entry.recipe === recipe);

  setHandler(progressQuery, () => progress, { description: 'each recipe, and where the sweep is' });

  setHandler(
    pauseUpdate,
    () => {
      pausedMs ??= Date.now();
      return current ? `pausing when ${current.recipe} has ended` : 'paused';
    },
    { description: 'stop before the next recipe; the host stays taken, and the budget goes on' },
  );

  setHandler(
    resumeUpdate,
    () => {
      const was = pausedMs !== null;
      pausedMs = null;
      return was ? 'resumed' : 'was not paused';
    },
    { description: 'go on after a pause' },
  );

  setHandler(
    skipUpdate,
    async ({ recipe, reason }) => {
      await condition(() => progress.recipes.length > 0);
      const entry = entryOf(recipe);
      if (!entry) throw refused(`${recipe} is not in this sweep`);
      if (entry.state !== 'waiting') throw refused(`${recipe} is ${entry.state} already`);
      skips.set(recipe, reason ?? 'skipped by an operator');
      return `${recipe} will be skipped`;
    },
    {
      description: 'skip a recipe that still waits: {"recipe": "<name>", "reason": "<why>"}',
      validator(request: unknown) {
        const { recipe, reason } = (request ?? {}) as Record<string, unknown>;
        const wellWritten =
          reason === undefined || (typeof reason === 'string' && reason.length <= LONGEST_REASON);
        if (typeof recipe !== 'string' || !isRecipeName(recipe) || !wellWritten) {
          throw refused(
            `expected {"recipe": "<name>", "reason": "<why, at most ${LONGEST_REASON} characters>"}`,
          );
        }
      },
    },
  );

  setHandler(
    abortUpdate,
    async () => {
      aborting = true;
      progress.state = 'aborting';
      const stopped = current?.recipe;
      const waits = waiting !== null;
      current?.scope.cancel();
      waiting?.cancel();
      await condition(() => current === null);
      if (stopped) return `aborted; ${stopped} was cancelled and torn down`;
      return waits ? 'aborted; what it has to report is written in its turn' : 'aborted';
    },
    { description: 'cancel the running recipe, tear it down, and end the sweep' },
  );

  function show({ standings, site }: ToldEnd = {}): void {
    const done = progress.recipes.filter(({ outcome }) => outcome !== null);
    const counts = countOutcomes(done.flatMap(({ outcome }) => (outcome ? [outcome] : [])));
    const notable = done.filter(({ outcome }) => outcome && outcome.kind !== 'SKIP');
    // While it goes on the last ones are the news.
    const listed =
      standings === undefined
        ? notable.slice(-MOST_LISTED)
        : inOrderOf(standings, notable).slice(0, MOST_LISTED);
    setCurrentDetails(
      [
        `**${progress.state}**: ${done.length} of ${progress.recipes.length} recipes${current ? `, now ${current.recipe}` : ''}`,
        counts.map(([name, count]) => `${count} ${name}`).join(', '),
        ...(standings === undefined ? [] : [newsText(standings)]),
        listed
          .map(
            ({ recipe, outcome }) =>
              `- ${recipe}: ${outcome ? quotableMarkdown(`${outcomeTitle(outcome)}: ${outcomeReason(outcome)}`) : ''}`,
          )
          .join('\n'),
        ...(site === undefined ? [] : [`More: ${site}`]),
      ].join('\n\n'),
    );
  }

  return {
    begin(recipes) {
      progress.recipes = recipes.map((recipe) => ({
        recipe,
        state: 'waiting',
        workflowId: null,
        startedMs: null,
        endedMs: null,
        outcome: null,
      }));
      progress.state = sweeping();
      show();
    },
    next: () => progress.recipes.find(({ state }) => state === 'waiting')?.recipe ?? null,
    waiting: () => progress.recipes.filter(({ state }) => state === 'waiting').map(({ recipe }) => recipe),
    all: () => progress.recipes.map(({ recipe }) => recipe),
    outcomes: () =>
      Object.fromEntries(
        progress.recipes.flatMap(({ recipe, outcome }) => (outcome ? [[recipe, outcome]] : [])),
      ),
    async whileWaiting(body) {
      const { state } = progress;
      const scope = new CancellationScope();
      waiting = scope;
      progress.state = 'waiting for its turn';
      show();
      try {
        if (!aborting) await scope.run(body);
      } catch (error) {
        // An abort ends the waiting, and no more than that.
        if (!(isCancellation(error) && aborting) || CancellationScope.current().consideredCancelled)
          throw error;
      } finally {
        waiting = null;
        progress.state = aborting ? 'aborting' : state;
        show();
      }
    },
    async mayGoOn(deadlineMs) {
      const released = (): boolean => pausedMs === null || aborting;
      if (released()) return;
      progress.state = 'paused';
      show();
      await condition(released, Math.max(1, deadlineMs - Date.now()));
      progress.state = sweeping();
    },
    skipped: (recipe) => skips.get(recipe) ?? null,
    running(recipe, scope) {
      current = { recipe, scope };
      const entry = entryOf(recipe);
      if (entry) {
        Object.assign(entry, {
          state: 'running',
          workflowId: recipeWorkflowId(sweepId, recipe),
          startedMs: Date.now(),
        });
      }
      show();
    },
    ended(recipe, outcome) {
      current = null;
      const entry = entryOf(recipe);
      if (entry) Object.assign(entry, { state: 'done', endedMs: Date.now(), outcome: briefOutcome(outcome) });
      show();
    },
    reporting() {
      progress.state = 'reporting';
    },
    done(told) {
      progress.state = 'done';
      show(told);
    },
    get aborting() {
      return aborting;
    },
    get pausedMs() {
      return pausedMs;
    },
    carry: () => ({
      recipes: progress.recipes,
      pausedMs,
      aborting,
      skips: [...skips],
    }),
  };
}

const LONGEST_REASON = 500;
/** Of a sweep of hundreds, what a page shows. */
const MOST_LISTED = 40;

/** What changed, as a list. */
function newsText(standings: readonly ToldStanding[]): string {
  const news = newsAmong(standings);
  if (news.length === 0) return NO_NEWS;
  const more = news.length > MOST_LISTED ? [`- and ${news.length - MOST_LISTED} more`] : [];
  const lines = news
    .slice(0, MOST_LISTED)
    .map((one) => `- **${one.is}**: ${one.recipe}, since ${one.since ?? 'ever'}; ${blameText(one)}`);
  return [...lines, ...more].join('\n');
}

function refused(message: string): ApplicationFailure {
  return ApplicationFailure.create({ type: 'BadInput', message, nonRetryable: true });
}
