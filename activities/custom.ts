import path from 'node:path';
import ms from 'ms';
import { passBoundary } from '../host/machine/boundary.ts';
import type { App } from '../domain/app.ts';
import { coldApp, type AppOf, type TierStep } from './app.ts';
import { holdingHostFor, type HostAttempt } from './attempt.ts';
import type { World } from './world.ts';
import { askTier, refuseUnlessRunning, type TierAnswer, type TierFailure } from './tier.ts';

/** Of a step's time, what all checks together may take; the rest is for hooks and evidence. */
const SHARE_OF_TIER = 0.8;

export function custom(world: World) {
  return {
    /** The tier custom, at the run's throw-away domain. */
    coldCustom: (input: TierStep): Promise<TierAnswer> => askCustom(world, coldApp, input),
  };
}

/** The tier custom, wherever the run's deployment is: runs the recipe's own checks on it. */
export async function askCustom(world: World, appOf: AppOf, input: TierStep): Promise<TierAnswer> {
  const { run, step } = input;
  return holdingHostFor(world, run, step, async (attempt) => {
    const app = await appOf(world, attempt, input);
    await refuseUnlessRunning(attempt, app, 'check');
    if (app.settings.checks.length === 0) {
      return { result: 'skipped', reason: 'the recipe has no checks' };
    }
    return askTier(world, attempt, app, 'custom', async () => {
      const answer = await runChecks(world, attempt, app);
      passBoundary('custom.after-checks');
      return answer;
    });
  });
}

/** Every check is run, whatever came of those before, so that one look shows all that is wrong. */
export async function runChecks(
  world: Pick<World, 'config' | 'now'>,
  { scripts, report }: Pick<HostAttempt, 'scripts' | 'report'>,
  app: App,
): Promise<TierAnswer> {
  const { checks } = app.settings;
  const longest = world.config.limits.tier * SHARE_OF_TIER;
  const deadline = world.now().getTime() + longest;
  const failures: TierFailure[] = [];
  const notApplicable: string[] = [];
  for (const [index, file] of checks.entries()) {
    const name = path.basename(file);
    const withinMs = deadline - world.now().getTime();
    if (withinMs <= 0) {
      const reason = `check ${name}: not run, since those before it took the ${ms(longest)} that all may take`;
      failures.push({ result: 'fail', reason, evidence: app.evidence });
      break;
    }
    report(`check ${name} (${index + 1} of ${checks.length})`);
    const environment = { TIER: 'custom' };
    const found = await scripts.check(app, file, { environment, withinMs });
    if (found.result === 'fail') failures.push(found);
    if (found.result === 'not applicable') notApplicable.push(`${name}: ${found.reason}`);
  }
  const [first, ...others] = failures;
  if (first) {
    const more = others.length === 0 ? '' : `; ${others.length} more of ${checks.length} checks failed`;
    return { ...first, reason: `${first.reason}${more}` };
  }
  if (notApplicable.length < checks.length) return { result: 'pass' };
  return { result: 'skipped', reason: `no check is applicable: ${notApplicable.join('; ')}` };
}
