import { isCancellation } from '@temporalio/workflow';
import type { ColdStep } from '../activities/app.ts';
import type { ColdResult } from '../activities/cold-test.ts';
import type { TierAnswer } from '../activities/tier.ts';
import type { ImageSeen } from '../domain/app.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { restoreProblem, type LintProblem } from '../domain/level.ts';
import { TIERS, type Tier, type TierResult } from '../domain/outcome.ts';
import { nameOf, type Revision } from '../domain/release.ts';
import { deployedAt, planNote, skipReason, withoutBase, type TierPlan } from '../domain/tiers.ts';
import type { Step } from './protocol.ts';
import type { Run } from './run.ts';
import type { RecipeSteps } from './steps.ts';

export type ColdTest =
  | { verdict: 'green'; images: Record<string, ImageSeen> }
  | { verdict: 'red'; tier: Tier; reason: string; evidence: string };

/** One question to the cold deployment. */
interface Question<Answer> {
  step(plan: TierPlan): Step;
  /** Beside the step in the Temporal UI. */
  summary(plan: TierPlan): string;
  ask(steps: RecipeSteps, input: ColdStep): Promise<Answer>;
}

const QUESTIONS: Readonly<Record<Tier, Question<ColdResult | TierAnswer>>> = {
  install: {
    step: installStep,
    summary: (plan) => `install ${nameOf(deployedAt('install', plan))}`,
    ask: (steps, input) => steps.coldInstall(input),
  },
  upgrade: {
    step: () => 'cold-test: upgrade',
    summary: ({ head }) => `upgrade to ${head.version}`,
    ask: (steps, input) => steps.coldUpgrade(input),
  },
  backup: {
    step: () => 'cold-test: backup',
    summary: ({ head }) => `back up ${head.version}`,
    ask: (steps, input) => steps.coldBackup(input),
  },
  restore: {
    step: () => 'cold-test: restore',
    summary: ({ head }) => `destroy and restore the data of ${head.version}`,
    ask: (steps, input) => steps.coldRestore(input),
  },
  custom: {
    step: () => 'cold-test: custom',
    summary: () => "the recipe's own checks",
    ask: (steps, input) => steps.coldCustom(input),
  },
};

const LINT: Question<{ problems: LintProblem[] }> = {
  step: () => 'cold-test: lint',
  summary: ({ head }) => `lint ${head.version}`,
  ask: (steps, input) => steps.lint(input),
};

function installStep({ base, unfit }: TierPlan): Step {
  if (base === null) return 'cold-test: install';
  return unfit.length === 0 ? 'cold-test: install base' : 'cold-test: install an older base';
}

/**
 * One cold deployment, asked tier after tier until one fails, and torn down whatever happens. It is gone
 * before promote begins: the warm app may need its ports and its memory.
 */
export async function coldTest(
  run: Run,
  plan: TierPlan,
  dependencies: readonly ProvidedDependency[],
): Promise<ColdTest> {
  try {
    return await askTiers(run, plan, dependencies);
  } finally {
    await run.afterwards(
      'teardown',
      `${run.ref.recipe}: remove the cold deployment`,
      (steps) => steps.teardown({ run: run.ref }),
      (why) => run.leftovers.push(`the cold deployment was not removed: ${why}`),
    );
  }
}

async function askTiers(
  run: Run,
  planned: TierPlan,
  dependencies: readonly ProvidedDependency[],
): Promise<ColdTest> {
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
    const since = Date.now();
    const answer = await ask(QUESTIONS[tier], deployedAt(tier, plan));
    const ms = Date.now() - since;
    if (answer.result === 'skipped') return { tier, ...answer };
    if (answer.result === 'fail') {
      // An image of the base that is gone is no fault of the release that follows it.
      const next = tier === 'install' ? withoutBase(plan, answer.reason) : null;
      if (next === null) return { tier, ...answer, ms };
      plan = next;
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
  run.lint = await lintProblems(run, () => ask(LINT, plan.head));
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
): ColdTest {
  for (const later of TIERS.slice(TIERS.indexOf(tier) + 1))
    run.tiers.push({ tier: later, result: 'not reached' });
  return { verdict: 'red', tier, reason, evidence };
}
