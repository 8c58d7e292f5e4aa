import { isCancellation } from '@temporalio/workflow';
import type { TierStep } from '../activities/app.ts';
import type { DeployAnswer, TierAnswer } from '../activities/tier.ts';
import type { ImageSeen } from '../domain/app.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { restoreProblem, type LintProblem } from '../domain/level.ts';
import { TIERS, type Tier, type TierResult } from '../domain/outcome.ts';
import type { Revision } from '../domain/release.ts';
import { deployedAt, planNote, skipReason, withoutBase, type TierPlan } from '../domain/tiers.ts';
import type { Step } from './protocol.ts';
import type { Run } from './run.ts';
import type { RecipeSteps } from './steps.ts';

/** What was learned of the head; that nothing was is thrown. */
export type Verdict =
  | { verdict: 'green'; images: Record<string, ImageSeen> }
  | { verdict: 'red'; tier: Tier; reason: string; evidence: string };

/** One question to a deployment. */
export interface Question<Answer> {
  step(plan: TierPlan): Step;
  /** Beside the step in the Temporal UI. */
  summary(plan: TierPlan): string;
  ask(steps: RecipeSteps, input: TierStep): Promise<Answer>;
}

/** How a kind of test asks; which tiers it skips is in its plan. */
export interface Questions {
  tiers: Readonly<Partial<Record<Tier, Question<DeployAnswer | TierAnswer>>>>;
  lint: Question<{ problems: LintProblem[] }>;
}

/**
 * Asks one deployment tier after tier, until one fails: what each said is in `run.tiers`, and what lint found in
 * `run.lint` if none did.
 */
export async function askTiers(
  run: Run,
  planned: TierPlan,
  dependencies: readonly ProvidedDependency[],
  questions: Questions,
): Promise<Verdict> {
  let plan = planned;
  let images: Record<string, ImageSeen> = {};

  const ask = async <Answer>(question: Question<Answer>, deploy: Revision): Promise<Answer> => {
    const step = question.step(plan);
    const upgraded = plan.base !== null && deploy === plan.head;
    const input = { run: run.ref, step, deploy, dependencies, upgraded };
    return run.ask(step, question.summary(plan), (steps) => question.ask(steps, input));
  };

  const resultOf = async (tier: Tier): Promise<TierResult> => {
    const reason = skipReason(tier, plan, run.tiers);
    if (reason !== null) return { tier, result: 'skipped', reason };
    const question = questions.tiers[tier];
    if (question === undefined) return { tier, result: 'skipped', reason: 'no part of this kind of test' };
    const since = Date.now();
    const answer = await ask(question, deployedAt(tier, plan));
    const ms = Date.now() - since;
    if (answer.result === 'skipped') return { tier, ...answer };
    if (answer.result === 'fail') {
      // An image of the base that is gone is no fault of the release that follows it.
      const next = tier === 'install' ? withoutBase(plan, answer.reason) : null;
      if (next === null) return { tier, ...answer, ms };
      plan = next;
      if (run.test !== null) run.test = { ...run.test, base: plan.base };
      return resultOf(tier);
    }
    if ('images' in answer) ({ images } = answer);
    const notes = [planNote(tier, plan), answer.note ?? null].filter((note) => note !== null);
    return { tier, result: 'pass', ms, ...(notes.length === 0 ? {} : { note: notes.join('; ') }) };
  };

  for (const tier of TIERS) {
    const result = await resultOf(tier);
    run.tiers.push(result);
    if (result.result === 'fail') return red(run, result);
  }
  run.lint = await lintProblems(run, () => ask(questions.lint, plan.head));
  return { verdict: 'green', images };
}

/** Null when they could not be looked at, which costs the level and not the verdict. */
async function lintProblems(
  run: Run,
  look: () => Promise<{ problems: LintProblem[] }>,
): Promise<LintProblem[] | null> {
  const { brokeAt } = run;
  try {
    const { problems } = await look();
    const restored = run.tiers.find(({ tier }) => tier === 'restore');
    const note = restored?.result === 'pass' ? restored.note : undefined;
    return note === undefined ? problems : [...problems, restoreProblem(note)];
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.brokeAt = brokeAt;
    return null;
  }
}

function red(
  run: Run,
  { tier, reason, evidence }: { tier: Tier; reason: string; evidence: string },
): Verdict {
  for (const later of TIERS.slice(TIERS.indexOf(tier) + 1))
    run.tiers.push({ tier: later, result: 'not reached' });
  return { verdict: 'red', tier, reason, evidence };
}
