import { isCancellation } from '@temporalio/workflow';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { outcomeReason, outcomeTitle, type ErrorCause, type Outcome } from '../domain/outcome.ts';
import { faultOf, reasonOf } from './input.ts';
import type { RecipeSweepResult } from './protocol.ts';
import { publishOutcome } from './publish.ts';
import { leftoversOf, levelReached, showDetails, type Run } from './run.ts';

/** What every run of a recipe has in common at its edges, whoever asked for it. */

/** What the recipe needs runs while the body goes on, and is removed whatever happens. */
export async function withDependencies<T>(
  run: Run,
  deps: string[],
  body: (dependencies: readonly ProvidedDependency[]) => Promise<T>,
): Promise<T> {
  if (deps.length === 0) return body([]);
  const { ref } = run;
  try {
    const dependencies: ProvidedDependency[] = [];
    for (const recipe of deps) {
      const provided = await run.ask('cold-test: dependencies', `a ${recipe} for this run`, (steps) =>
        steps.provide({ run: ref, recipe, dependencies }),
      );
      dependencies.push(provided);
    }
    return await body(dependencies);
  } finally {
    await run.afterwards(
      'teardown',
      `${ref.recipe}: remove what ran beside it`,
      (steps) => steps.teardown({ run: ref, dependencies: deps }),
      (why) => run.leftovers.push(`not all of ${deps.join(', ')}, which ran beside it, was removed: ${why}`),
    );
  }
}

/**
 * The end of every run: its one outcome, on disk and in the UI. It is what the canonical's record says, where that
 * knows better: also when the warm data could not be settled, or the run was reset after it had promoted.
 */
export async function record(run: Run, found: Outcome): Promise<RecipeSweepResult> {
  const { ref, notes, release, tiers, lint, startedMs } = run;
  const leftovers = leftoversOf(run);
  publishOutcome(found, leftovers);
  const onDisk = await run.afterwards(
    'record',
    outcomeTitle(found),
    (steps) =>
      steps.record({
        recipe: ref.recipe,
        asked: ref.asked,
        outcome: found,
        leftovers,
        notes,
        release,
        test: run.test,
        tiers,
        level: levelReached(run, found),
        lint,
        startedMs,
        endedMs: Date.now(),
        waited: run.waited,
        workflow: ref.workflow,
      }),
    (why) => (run.unrecorded = why),
  );
  const outcome = onDisk ?? found;
  if (told(outcome) !== told(found)) publishOutcome(outcome, leftovers);
  run.enter('done');
  showDetails(run, outcome);
  return { outcome, leftovers, unrecorded: run.unrecorded };
}

/** All that is said of it in words: what the canonical is may be known better, under the same title. */
function told(outcome: Outcome): string {
  return `${outcomeTitle(outcome)}: ${outcomeReason(outcome)}`;
}

/** The outcome of a run that learned nothing. Its sweep's budget ends at the deadline; a test has none. */
export function noVerdict(
  run: Run,
  error: unknown,
  deadlineMs: number | null,
): Extract<Outcome, { kind: 'ERROR' }> {
  const at = `at ${run.brokeAt ?? run.step}`;
  if (isCancellation(error)) {
    return deadlineMs !== null && Date.now() >= deadlineMs
      ? { kind: 'ERROR', cause: 'out-of-time', why: `the sweep's budget ended ${at}` }
      : { kind: 'ERROR', cause: 'cancelled', why: `cancelled ${at}` };
  }
  const type = faultOf(error);
  let cause: ErrorCause = 'infrastructure';
  if (type === 'TagMoved') cause = 'tag-moved';
  else if (type === 'MirrorSync') cause = 'mirror-sync';
  return { kind: 'ERROR', cause, why: `${at}: ${reasonOf(error)}` };
}
