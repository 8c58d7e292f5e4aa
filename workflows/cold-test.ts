import { isCancellation } from '@temporalio/workflow';
import type { ColdStep } from '../activities/app.ts';
import type { ColdResult } from '../activities/cold-test.ts';
import type { ProvidedDependency } from '../domain/dependency.ts';
import { restoreProblem, type LintProblem } from '../domain/level.ts';
import { brief, TIERS, type Tier } from '../domain/outcome.ts';
import type { Release } from '../domain/release.ts';
import type { Found, Published, SweepSettings } from '../domain/run.ts';
import { basesBefore, upgradeBase } from '../domain/upgrade-base.ts';
import type { Step } from './protocol.ts';
import type { Run } from './run.ts';
import { cleanupSteps, tierSteps } from './steps.ts';

export type ColdTest =
  | { verdict: 'green'; images: Extract<ColdResult, { result: 'pass' }>['images'] }
  | { verdict: 'red'; tier: Tier; reason: string; evidence: string };

export interface Tested {
  head: Release;
  published: Published;
  found: Found;
  dependencies: readonly ProvidedDependency[];
}

/**
 * One cold deployment, asked tier after tier until one fails, and torn down whatever happens. It is gone
 * before promote begins: the warm app may need its ports and its memory.
 */
export async function coldTest(run: Run, settings: SweepSettings, tested: Tested): Promise<ColdTest> {
  try {
    return await askTiers(run, settings, tested);
  } finally {
    const { teardown } = cleanupSteps(settings, `${run.ref.recipe}: remove the cold deployment`);
    await run.afterwards(
      'teardown',
      () => teardown({ run: run.ref }),
      (why) => run.leftovers.push(`the cold deployment was not removed: ${why}`),
    );
  }
}

async function askTiers(
  run: Run,
  settings: SweepSettings,
  { head, published, found, dependencies }: Tested,
): Promise<ColdTest> {
  const planned = upgradeBase({
    head,
    canonical: found.canonical,
    releases: published.releases,
    main: { commit: published.main, containsHead: true },
  });
  const ask = async <T>(
    step: Step,
    summary: string,
    deploy: ColdStep['deploy'],
    call: (steps: ReturnType<typeof tierSteps>, input: ColdStep) => Promise<T>,
  ): Promise<{ answer: T; ms: number }> => {
    const upgraded = base !== null && deploy === head;
    const since = Date.now();
    const input = { run: run.ref, step, deploy, dependencies, upgraded };
    const answer = await run.at(step, () => call(tierSteps(settings, summary), input));
    return { answer, ms: Date.now() - since };
  };

  /** Why those before the base in use do not install. */
  const unfit: string[] = [];
  let base = planned.base;
  let install = await ask(
    base ? 'cold-test: install base' : 'cold-test: install',
    `install ${(base ?? head).version ?? base?.commit}`,
    base ?? head,
    (steps, input) => steps.coldInstall(input),
  );
  if (base && install.answer.result === 'fail') {
    const others = [...basesBefore(base, published.releases), null];
    for (const other of others) {
      if (install.answer.result !== 'fail') break;
      unfit.push(`${base?.version ?? base?.commit} does not install: ${brief(install.answer.reason)}`);
      base = other;
      install = await ask(
        other ? 'cold-test: install an older base' : 'cold-test: install',
        `install ${(other ?? head).version}`,
        other ?? head,
        (steps, input) => steps.coldInstall(input),
      );
    }
  }
  const installed = install.answer;
  if (installed.result === 'fail') return red(run, 'install', installed, install.ms);
  run.tiers.push({ tier: 'install', result: 'pass', ms: install.ms, ...noteOf(installed) });
  let { images } = installed;

  if (base) {
    const { answer, ms } = await ask(
      'cold-test: upgrade',
      `upgrade to ${head.version}`,
      head,
      (steps, input) => steps.coldUpgrade(input),
    );
    if (answer.result === 'fail') return red(run, 'upgrade', answer, ms);
    const from = unfit.length > 0 ? [`from ${base.version}, since ${unfit.join('; ')}`] : [];
    const note = [...from, ...(answer.note === undefined ? [] : [answer.note])].join('; ');
    run.tiers.push({ tier: 'upgrade', result: 'pass', ms, ...(note === '' ? {} : { note }) });
    images = answer.images;
  } else {
    const reason = unfit.length > 0 ? `no base to upgrade from: ${unfit.join('; ')}` : planned.reason;
    run.tiers.push({ tier: 'upgrade', result: 'skipped', reason });
  }

  const backup = await ask('cold-test: backup', `back up ${head.version}`, head, (steps, input) =>
    steps.coldBackup(input),
  );
  if (backup.answer.result === 'fail') return red(run, 'backup', backup.answer, backup.ms);
  if (backup.answer.result === 'skipped') {
    for (const tier of ['backup', 'restore'] as const) {
      run.tiers.push({ tier, result: 'skipped', reason: backup.answer.reason });
    }
  } else {
    run.tiers.push({ tier: 'backup', result: 'pass', ms: backup.ms, ...noteOf(backup.answer) });
    const { answer, ms } = await ask(
      'cold-test: restore',
      `destroy and restore the data of ${head.version}`,
      head,
      (steps, input) => steps.coldRestore(input),
    );
    if (answer.result === 'fail') return red(run, 'restore', answer, ms);
    run.tiers.push(
      answer.result === 'pass'
        ? { tier: 'restore', ...answer, ms }
        : { tier: 'restore', result: 'skipped', reason: answer.reason },
    );
  }

  const custom = await ask('cold-test: custom', `the recipe's own checks`, head, (steps, input) =>
    steps.coldCustom(input),
  );
  if (custom.answer.result === 'fail') return red(run, 'custom', custom.answer, custom.ms);
  run.tiers.push(
    custom.answer.result === 'pass'
      ? { tier: 'custom', result: 'pass', ms: custom.ms }
      : { tier: 'custom', result: 'skipped', reason: custom.answer.reason },
  );

  run.lint = await lintProblems(run, () =>
    ask('cold-test: lint', `lint ${head.version}`, head, (steps, input) => steps.lint(input)),
  );
  const restored = run.tiers.find(({ tier }) => tier === 'restore');
  if (run.lint !== null && restored?.result === 'pass' && restored.note !== undefined) {
    run.lint.push(restoreProblem(restored.note));
  }
  return { verdict: 'green', images };
}

/** Null when they could not be looked at, which costs the level and not the verdict. */
async function lintProblems(
  run: Run,
  ask: () => Promise<{ answer: { problems: LintProblem[] } }>,
): Promise<LintProblem[] | null> {
  const { brokeAt } = run;
  try {
    return (await ask()).answer.problems;
  } catch (error) {
    if (isCancellation(error)) throw error;
    run.brokeAt = brokeAt;
    return null;
  }
}

function noteOf({ note }: { note?: string }): { note?: string } {
  return note === undefined ? {} : { note };
}

function red(
  run: Run,
  tier: Tier,
  { reason, evidence }: { reason: string; evidence: string },
  ms: number,
): ColdTest {
  run.tiers.push({ tier, result: 'fail', reason, evidence, ms });
  for (const later of TIERS.slice(TIERS.indexOf(tier) + 1))
    run.tiers.push({ tier: later, result: 'not reached' });
  return { verdict: 'red', tier, reason, evidence };
}
