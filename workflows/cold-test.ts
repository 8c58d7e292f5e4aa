import type { ColdResult } from '../activities/cold-test.ts';
import type { TaggedCommit } from '../domain/decide.ts';
import { TIERS, type Tier } from '../domain/outcome.ts';
import type { Found, SweepSettings } from '../domain/run.ts';
import { upgradeBase } from '../domain/upgrade-base.ts';
import type { Step } from './protocol.ts';
import type { Run } from './run.ts';
import { cleanupSteps, tierSteps } from './steps.ts';

export type ColdTest =
  | { verdict: 'green'; images: Extract<ColdResult, { result: 'pass' }>['images'] }
  | { verdict: 'red'; tier: Tier; reason: string; evidence: string };

/**
 * One cold deployment, asked tier after tier until one fails, and torn down whatever happens. It is gone
 * before promote begins: the warm app may need its ports and its memory.
 */
export async function coldTest(
  run: Run,
  settings: SweepSettings,
  head: TaggedCommit,
  found: Found,
): Promise<ColdTest> {
  try {
    return await askTiers(run, settings, head, found);
  } finally {
    const { teardown } = cleanupSteps(settings, `${run.ref.recipe}: remove the cold deployment`);
    await run.always('teardown', () => teardown({ run: run.ref }));
  }
}

async function askTiers(
  run: Run,
  settings: SweepSettings,
  head: TaggedCommit,
  found: Found,
): Promise<ColdTest> {
  const { base, reason } = upgradeBase({
    head,
    canonical: found.canonical,
    releases: found.releases,
    main: { commit: found.main, containsHead: true },
  });
  const install = (step: Step, deploy: { version: string | null; commit: string }): Promise<ColdResult> =>
    run.at(step, () =>
      tierSteps(settings, `install ${deploy.version ?? deploy.commit}`).coldInstall({
        run: run.ref,
        step,
        deploy,
      }),
    );

  const installed = base
    ? await install('cold-test: install base', base)
    : await install('cold-test: install', head);
  if (installed.result === 'fail') {
    const what = base ? `the upgrade base ${base.version ?? base.commit} does not install: ` : '';
    return red(run, 'install', { ...installed, reason: what + installed.reason });
  }
  run.tiers.push({ tier: 'install', result: 'pass' });
  let { images } = installed;

  if (base) {
    const step = 'cold-test: upgrade';
    const upgraded = await run.at(step, () =>
      tierSteps(settings, `upgrade to ${head.version}`).coldUpgrade({ run: run.ref, step, deploy: head }),
    );
    if (upgraded.result === 'fail') return red(run, 'upgrade', upgraded);
    run.tiers.push({ tier: 'upgrade', result: 'pass' });
    images = upgraded.images;
  } else run.tiers.push({ tier: 'upgrade', result: 'skipped', reason });

  for (const tier of ['backup', 'restore', 'custom'] as const) {
    run.tiers.push({ tier, result: 'skipped', reason: 'not asked by this version of recipe-sweep' });
  }
  return { verdict: 'green', images };
}

function red(run: Run, tier: Tier, { reason, evidence }: { reason: string; evidence: string }): ColdTest {
  run.tiers.push({ tier, result: 'fail', reason, evidence });
  for (const later of TIERS.slice(TIERS.indexOf(tier) + 1))
    run.tiers.push({ tier: later, result: 'not reached' });
  return { verdict: 'red', tier, reason, evidence };
}
