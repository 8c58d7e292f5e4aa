import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  isCancellation,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Head } from '../activities/recipe-test.ts';
import type { TestWord } from '../domain/answer.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { outcomeTitle, TIERS, type Outcome } from '../domain/outcome.ts';
import { pullRequestName, type TestMode } from '../domain/recipe-test.ts';
import type { Release } from '../domain/release.ts';
import type { Found, Published, SweepSettings } from '../domain/run.ts';
import { planQuick, planTiers, quickOrCold, type TierPlan } from '../domain/tiers.ts';
import { openAnswer } from './answer.ts';
import { coldTest } from './cold-test.ts';
import { faultOf, parseTestInput, reasonOf, refuseWithout } from './input.ts';
import type { RecipeSweepResult, RecipeTestResult, TestInput } from './protocol.ts';
import { publishOutcome, testAttributes } from './publish.ts';
import { quickLane } from './quick-lane.ts';
import { noVerdict, record, withDependencies } from './run-end.ts';
import { levelReached, openRun, showDetails, type Run } from './run.ts';
import { cleanupSteps, hostSteps, openingSteps, UNREAD } from './steps.ts';
import { openTurn, SUPERSEDED, type Turn } from './turn.ts';

/** Until the host's own are read. */
const SETTINGS: SweepSettings = { ...UNREAD, tierMs: UNREAD.promoteMs, sweepMs: UNREAD.promoteMs };

/**
 * One commit of a recipe: its turn on the host → mirror-sync → resolve → head → cold test or quick lane → record. It
 * promotes nothing. Completed when there is a verdict or a skip; Failed (or Canceled) when there is none; Failed at once
 * on a wrong input. Where a comment asked for it, it is answered there.
 */
export async function recipeTestWorkflow(input: TestInput): Promise<RecipeTestResult> {
  const test = parseTestInput(input);
  const { recipe, pr = null, ref = null, quick = false, request } = test;
  const { workflowId: id, firstExecutionRunId: runId } = workflowInfo();
  const wanted: TestMode = quick ? 'quick' : 'cold';
  upsertSearchAttributes(testAttributes(test));

  const answer = openAnswer(
    request === undefined || pr === null ? null : { test: id, pullRequest: pr, request: request.comment },
  );
  let behind: string | null = null;
  const word = (end: TestWord['end'] = null): TestWord => ({
    recipe,
    wanted,
    commit: ref ?? '',
    step: run.step,
    behind: run.step === 'turn' ? behind : null,
    tested: run.test,
    tiers: [...run.tiers],
    end,
  });
  const run = openRun({ recipe, asked: { by: 'test', id, runId }, settings: SETTINGS, left: null }, () => {
    // The last word follows these at once.
    if (run.step !== 'record' && run.step !== 'done') answer.say(word());
  });
  const named = pr === null ? recipe : pullRequestName(recipe, pr);
  const turn = openTurn(
    {
      asker: 'test',
      what: `${quick ? 'quick ' : ''}test of ${named}`,
      ...(request === undefined
        ? {}
        : { about: { what: named, atMs: Date.parse(request.at), comment: request.comment } }),
    },
    null,
    (whom) => {
      behind = whom;
      answer.say(word());
    },
  );

  const { result, failure } = await inItsTurn(
    run,
    turn,
    (commit) => testHead(run, { commit, pr, wanted }),
    test,
  );
  const { outcome } = result;
  const level = levelReached(run, outcome);
  const unsaid = await answer.end(word({ outcome, level, lint: run.lint }));
  if (unsaid !== null) {
    run.notes.push(`the last word was not said where it was asked for: ${unsaid}`);
    showDetails(run, outcome);
  }
  if (failure !== null) throw failure;
  return { test: id, recipe, ...result, tested: run.test };
}

/** How it ended on record; and the failure with which its workflow ends, where there is no verdict. */
interface Ended {
  result: RecipeSweepResult;
  failure: unknown;
}

/** The body in a turn of its own, and its one outcome on record. Whatever happens the host and the turn are given back. */
async function inItsTurn(
  run: Run,
  turn: Turn,
  body: (commit: string | null) => Promise<Outcome>,
  { recipe, pr, ref, request }: TestInput,
): Promise<Ended> {
  const { asked, workflow } = run.ref;
  const holder = { workflowId: workflow.id, runId: workflow.runId, what: asked.by };
  let isEnrolled = false;
  /** Whether anything of it may be on the host, or in its lock. */
  let came = false;
  /** Of a recipe that is none of ours nothing is kept. */
  const end = async (outcome: Outcome): Promise<RecipeSweepResult> => {
    if (isEnrolled) return record(run, outcome);
    run.unrecorded = 'the recipe is not known to be enrolled';
    publishOutcome(outcome, null);
    showDetails(run, outcome);
    return { outcome, leftovers: null, unrecorded: run.unrecorded };
  };
  try {
    // The head is bound before it waits. Of a comment it is known, and was read from the forge.
    const commit = await run.ask('target', recipe, async () => {
      const { enrolled, pullRequestHead } = openingSteps(recipe);
      await enrolled({ wanted: [recipe] });
      isEnrolled = true;
      if (pr === undefined || request !== undefined) return ref ?? null;
      const head = await pullRequestHead({ recipe, pullRequest: pr });
      return ref ?? head.commit;
    });
    const fromMs = Date.now();
    await run
      .ask('turn', recipe, () => turn.take())
      .finally(() => {
        run.waited = { fromMs, toMs: Date.now() };
      });
    came = true;
    const { settings, left } = await run.ask('preflight', recipe, () =>
      hostSteps('take the host, preflight, reap').openTest({ recipe, holder }),
    );
    run.settings = settings;
    if (left !== null) run.leftovers.push(left);
    return { result: await record(run, await body(commit)), failure: null };
  } catch (error) {
    if (faultOf(error) === SUPERSEDED) {
      const outcome: Outcome = { kind: 'SKIP', because: 'superseded', why: reasonOf(error) };
      return { result: await record(run, outcome), failure: null };
    }
    const result = await end(noVerdict(run, error, null));
    if (isCancellation(error)) return { result, failure: error };
    const message = `${outcomeTitle(result.outcome)}: ${reasonOf(error)}`;
    return {
      result,
      failure: ApplicationFailure.create({ type: faultOf(error), message, nonRetryable: true }),
    };
  } finally {
    if (came) {
      const { giveBackHost } = cleanupSteps(run.settings, 'give the host back');
      // A lock that is not given back is void once this workflow has ended.
      await CancellationScope.nonCancellable(() => giveBackHost({ holder })).catch(() => undefined);
      await turn.giveBack();
    }
  }
}

async function testHead(
  run: Run,
  { commit, pr, wanted }: { commit: string | null; pr: number | null; wanted: TestMode },
): Promise<Outcome> {
  const { ref } = run;
  const { recipe } = ref;
  const published = await run.ask('mirror-sync', recipe, (steps) => steps.mirrorSync({ recipe, run: ref }));
  run.notes = published.notes;
  const found = await run.ask('resolve', recipe, (steps) => steps.resolve({ recipe }));
  refuseWithout(found.lack);
  const tip = published.main;
  const tested = commit ?? tip;
  const head = await run.ask('head', tested, (steps) =>
    steps.bringHead({ run: ref, commit: tested, pullRequest: pr, main: tip }),
  );
  run.test = {
    mode: wanted,
    wanted,
    why: null,
    pullRequest: pr,
    head: { version: head.version, commit: tested },
    base: null,
  };
  const canonical = found.canonical?.version ?? null;
  if (head.version === null) {
    const { reason: why, evidence } = head;
    run.tiers = TIERS.map((tier) =>
      tier === 'install' ? { tier, result: 'fail', reason: why, evidence } : { tier, result: 'not reached' },
    );
    return { kind: 'FAIL', version: tested, tier: 'install', why, evidence, canonical };
  }
  const release = (run.release = { version: head.version, commit: tested });
  const { mode, why, plan } = howToTest(wanted, { release, head, found, published });
  run.test = { ...run.test, mode, why, base: plan.base };
  return withDependencies(run, found.deps, (dependencies) =>
    verdictOf(run, mode, plan, dependencies, canonical),
  );
}

/** The quick lane where it is wanted and there is something for it, else the cold test, and why. */
function howToTest(
  wanted: TestMode,
  {
    release,
    head,
    found: { canonical, dataDropped },
    published: { releases },
  }: { release: Release; head: Head; found: Found; published: Published },
): { mode: TestMode; why: string | null; plan: TierPlan } {
  const cold = planTiers({ head: release, canonical, releases, main: head.main });
  if (wanted === 'cold') return { mode: 'cold', why: null, plan: cold };
  const lane = quickOrCold({ head: release, canonical, dataDropped });
  if (lane.mode === 'cold') return { ...lane, plan: cold };
  return { mode: 'quick', why: null, plan: planQuick({ head: release, canonical: lane.canonical }) };
}

async function verdictOf(
  run: Run,
  mode: TestMode,
  plan: TierPlan,
  dependencies: readonly ProvidedDependency[],
  canonical: string | null,
): Promise<Outcome> {
  const test = await (mode === 'quick' ? quickLane : coldTest)(run, plan, dependencies);
  if (test.verdict === 'green') return { kind: 'PASS', promoted: null };
  const { tier, reason: why, evidence } = test;
  return { kind: 'FAIL', version: plan.head.version, tier, why, evidence, canonical };
}
