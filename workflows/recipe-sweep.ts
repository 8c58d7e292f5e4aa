import { ApplicationFailure } from '@temporalio/common';
import { isCancellation, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { PromoteInput, PromoteResult } from '../activities/promote.ts';
import { decideOn } from '../domain/decide.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { outcomeTitle, type Outcome } from '../domain/outcome.ts';
import { planTiers } from '../domain/tiers.ts';
import type { UpgradeQuestion } from '../domain/upgrade-base.ts';
import { coldTest } from './cold-test.ts';
import { faultOf, parseRecipeSweepInput, reasonOf, refuseWithout } from './input.ts';
import { pullingAhead } from './pulling-ahead.ts';
import type { RecipeSweepInput, RecipeSweepResult } from './protocol.ts';
import { runAttributes } from './publish.ts';
import { noVerdict, record, withDependencies } from './run-end.ts';
import { openRun, type Run } from './run.ts';

/**
 * One recipe: mirror-sync → resolve → decide → cold test → promote → teardown → record.
 * Completed when there is a verdict or a skip; Failed (or Canceled) when there is no verdict.
 */
export async function recipeSweepWorkflow(input: RecipeSweepInput): Promise<RecipeSweepResult> {
  const checked = parseRecipeSweepInput(input, workflowInfo().workflowId);
  const run = openRun({ ...checked, asked: { by: 'sweep', ...checked.sweep } });
  const { ref } = run;
  const { recipe } = ref;
  upsertSearchAttributes(runAttributes(ref));
  try {
    const published = await run.ask('mirror-sync', recipe, (steps) => steps.mirrorSync({ recipe, run: ref }));
    run.notes = published.notes;
    const { canonical, hold, deps, lack } = await run.ask('resolve', recipe, (steps) =>
      steps.resolve({ recipe }),
    );
    const { releases } = published;
    const head = (run.release = releases.at(-1) ?? null);
    run.enter('decide');
    const decision = decideOn({ latest: head, canonical, hold });
    if (head === null || decision.decision === 'skip') {
      const because = decision.decision === 'skip' ? decision.because : 'never-released';
      return await record(run, { kind: 'SKIP', because, why: decision.reason });
    }
    refuseWithout(lack);
    // A release is on main; its tip is the head or newer.
    const main = { commit: published.main, version: null, containsHead: true };
    const { outcome, cancelled } = await pullingAhead(run, checked.next, () =>
      withDependencies(run, deps, (dependencies) =>
        testAndPromote(run, { head, canonical, releases, main }, dependencies),
      ),
    );
    const result = await record(run, outcome);
    if (cancelled) throw cancelled;
    return result;
  } catch (error) {
    // A cancelled promote has an outcome of its own, on record before the cancellation goes on.
    if (run.step === 'done') throw error;
    const result = await record(run, noVerdict(run, error, checked.deadlineMs));
    if (isCancellation(error)) throw error;
    const { outcome } = result;
    // The record on disk can know of a promotion that this run does not.
    if (outcome.kind !== 'ERROR') return result;
    const message = `${outcomeTitle(outcome)}: ${reasonOf(error)}`;
    throw ApplicationFailure.create({ type: faultOf(error), message, nonRetryable: true });
  }
}

/** An outcome, and the cancellation that came while it was being made, if one did. */
interface Ended {
  outcome: Outcome;
  cancelled: unknown;
}

async function testAndPromote(
  run: Run,
  question: UpgradeQuestion,
  dependencies: readonly ProvidedDependency[],
): Promise<Ended> {
  const { head } = question;
  const test = await coldTest(run, planTiers(question), dependencies);
  if (test.verdict === 'green') {
    return promote(run, { run: run.ref, release: head, tested: test.images, dependencies });
  }
  const { tier, reason: why, evidence } = test;
  const canonical = question.canonical?.version ?? null;
  const outcome: Outcome = { kind: 'FAIL', version: head.version, tier, why, evidence, canonical };
  return { outcome, cancelled: null };
}

/** Promotes a green release. PASS only if the record on disk says so afterwards, whatever promote answered. */
async function promote(run: Run, input: PromoteInput): Promise<Ended> {
  const { version } = input.release;
  let result: PromoteResult;
  let cancelled: unknown = null;
  try {
    result = await run.ask('promote', `promote ${version}`, (steps) => steps.promote(input));
  } catch (error) {
    if (isCancellation(error)) cancelled = error;
    result = { promoted: false, why: isCancellation(error) ? 'cancelled' : reasonOf(error), evidence: null };
  }
  if (result.promoted && result.note !== undefined) run.notes.push(result.note);
  let notRead: string | null = null;
  const settled = await run.afterwards(
    'teardown',
    `${run.ref.recipe}: the warm data as the record says`,
    (steps) => steps.settle({ run: run.ref }),
    (why) => {
      notRead = `what the record says was not read back: ${why}`;
      run.leftovers.push(`the warm app and its data may not be as the record says: ${why}`);
    },
  );
  const canonical = settled?.version ?? null;
  const { why, evidence } = result.promoted
    ? { why: notRead ?? 'the record on disk does not say so', evidence: null }
    : result;
  const outcome: Outcome =
    canonical === version
      ? { kind: 'PASS', promoted: version }
      : { kind: 'GREEN-BUT-PROMOTE-FAILED', version, why, canonical, evidence };
  return { outcome, cancelled };
}
