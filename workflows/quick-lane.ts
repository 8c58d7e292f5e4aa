import type { ProvidedDependency } from '../domain/dependency.ts';
import { nameOf } from '../domain/release.ts';
import { deployedAt, type TierPlan } from '../domain/tiers.ts';
import type { Run } from './run.ts';
import { askTiers, type Questions, type Verdict } from './tiers.ts';

/** Neither backup nor restore: they ask for a data set that may be destroyed, and a fresh deployment beside. */
const QUESTIONS: Questions = {
  tiers: {
    install: {
      step: () => 'quick-lane: reattach',
      summary: (plan) => `${nameOf(deployedAt('install', plan))} on its own data`,
      ask: (steps, input) => steps.quickReattach(input),
    },
    upgrade: {
      step: () => 'quick-lane: upgrade',
      summary: ({ head }) => `upgrade to ${head.version}`,
      ask: (steps, input) => steps.quickUpgrade(input),
    },
    custom: {
      step: () => 'quick-lane: custom',
      summary: () => "the recipe's own checks",
      ask: (steps, input) => steps.quickCustom(input),
    },
  },
  lint: {
    step: () => 'quick-lane: lint',
    summary: ({ head }) => `lint ${head.version}`,
    ask: (steps, input) => steps.quickLint(input),
  },
};

/**
 * The canonical's data, attached again and taken to the head in place, by a plan of planQuick. What is green leaves the
 * head's data behind, marked as in use: whoever attaches it next puts it back from the snapshot first. What is red, or
 * no verdict at all, has it put back at once. The record and the snapshot stay as they are.
 */
export async function quickLane(
  run: Run,
  plan: TierPlan,
  dependencies: readonly ProvidedDependency[],
): Promise<Verdict> {
  let test: Verdict | null = null;
  try {
    test = await askTiers(run, plan, dependencies, QUESTIONS);
    return test;
  } finally {
    await (test?.verdict === 'green' ? undeploy(run) : putBack(run));
  }
}

async function undeploy({ ref, leftovers, afterwards }: Run): Promise<void> {
  await afterwards(
    'quick-lane: undeploy',
    `${ref.recipe}: stop the app, keeping its volumes`,
    (steps) => steps.quickUndeploy({ run: ref }),
    (why) => leftovers.push(`the app at the warm domain was not stopped: ${why}`),
  );
}

async function putBack({ ref, leftovers, afterwards }: Run): Promise<void> {
  await afterwards(
    'teardown',
    `${ref.recipe}: the warm data as the record says`,
    (steps) => steps.settle({ run: ref }),
    (why) => leftovers.push(`the warm app and its data may not be as the record says: ${why}`),
  );
}
