import type { ProvidedDependency } from '../domain/dependency.ts';
import { nameOf } from '../domain/release.ts';
import { deployedAt, type TierPlan } from '../domain/tiers.ts';
import type { Step } from './protocol.ts';
import type { Run } from './run.ts';
import { askTiers, type Questions, type Verdict } from './tiers.ts';

const QUESTIONS: Questions = {
  tiers: {
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
  },
  lint: {
    step: () => 'cold-test: lint',
    summary: ({ head }) => `lint ${head.version}`,
    ask: (steps, input) => steps.lint(input),
  },
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
): Promise<Verdict> {
  try {
    return await askTiers(run, plan, dependencies, QUESTIONS);
  } finally {
    await run.afterwards(
      'teardown',
      `${run.ref.recipe}: remove the cold deployment`,
      (steps) => steps.teardown({ run: run.ref }),
      (why) => run.leftovers.push(`the cold deployment was not removed: ${why}`),
    );
  }
}
