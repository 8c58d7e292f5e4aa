import type { Tier } from '../domain/outcome.ts';
import { Fault } from '../domain/fault.ts';
import type { TierHook } from '../domain/recipe-settings.ts';
import type { ScriptResult } from '../host/scripts/app-scripts.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { App, ImageSeen } from '../domain/app.ts';
import type { Deployment } from '../host/deploy/deployer.ts';
import type { HostAttempt } from './attempt.ts';
import { refuseWithoutLive } from './live-dependency.ts';
import type { World } from './world.ts';

export type TierFailure = {
  result: 'fail';
  reason: string;
  /** The file that has the rest. */
  evidence: string;
};

/** What a tier says of the one cold deployment. */
export type TierAnswer = TierPass | TierFailure | { result: 'skipped'; reason: string };

/** What a tier says that deploys. */
export type DeployAnswer = (TierPass & { images: Record<string, ImageSeen> }) | TierFailure;

/** With a note where it passed not quite as it should. */
export type TierPass = { result: 'pass'; note?: string };

/**
 * Asks one tier: the recipe's hook before it, the question itself, the hook after it unless it failed; and keeps
 * what is learned of the deployment, however it went. Throws Fault Dependency where it failed and a live service that
 * the app uses was not well.
 */
export async function askTier<Answer extends TierAnswer>(
  world: World,
  attempt: HostAttempt,
  app: App,
  tier: Tier,
  body: () => Promise<Answer>,
): Promise<Answer | TierFailure> {
  const { scripts, evidence } = attempt;
  const since = world.now();
  const hook = async (name: TierHook): Promise<TierFailure | null> =>
    failureOf(await scripts.hook(app, name, { environment: { TIER: tier } }));
  const ask = async (): Promise<Answer | TierFailure> => {
    const before = await hook(`before-${tier}`);
    passBoundary('tier.after-before-hook');
    if (before) return before;
    const answer = await body();
    if (answer.result === 'fail') return answer;
    const after = await hook(`after-${tier}`);
    passBoundary('tier.after-after-hook');
    return after ?? answer;
  };
  let answer;
  try {
    answer = await ask();
  } catch (error) {
    // What broke is the news, also where it keeps the evidence from being read.
    await evidence.keepEvidence(app, since).catch(() => undefined);
    throw error;
  }
  await evidence.keepEvidence(app, since);
  if (answer.result === 'fail') await refuseWithoutLive(world, attempt, app, since, answer);
  return answer;
}

/** Has the recipe write data that must outlive what follows. Null when it did, or has no hook for that. */
export async function writeData(
  { scripts }: Pick<HostAttempt, 'scripts'>,
  app: App,
  tier: Tier,
): Promise<TierFailure | null> {
  return failureOf(await scripts.hook(app, 'write-data', { environment: { TIER: tier } }));
}

/**
 * Asks the recipe whether the data is there that its hook write-data wrote: pass or fail; null when it has no
 * hook for that.
 */
export async function checkData(
  { scripts }: Pick<HostAttempt, 'scripts'>,
  app: App,
  tier: Tier,
): Promise<{ result: 'pass' } | TierFailure | null> {
  const found = await scripts.hook(app, 'check-data', { environment: { TIER: tier } });
  return found === null ? null : (failureOf(found) ?? { result: 'pass' });
}

/** Throws when nothing of the app runs, so that there is nothing `purpose` could be done with. */
export async function refuseUnlessRunning(
  { stacks }: Pick<HostAttempt, 'stacks'>,
  app: App,
  purpose: string,
): Promise<void> {
  const runs = (await stacks.owned()).some((one) => one.stack === app.stack && one.running);
  if (runs) return;
  throw new Fault(
    'BadInput',
    `nothing of ${app.recipe} runs at ${app.domain}, so there is nothing to ${purpose} (the run was reset past its install, or somebody removed the stack): start a new run of ${app.recipe}`,
  );
}

const NOT_ASKED = 'nobody was asked whether it serves: no label says where, and recipe.yml has no probe';

/** What came of a deployment, as a tier says it. */
export function deployAnswer(deployment: Deployment): DeployAnswer {
  return deployment.ok
    ? {
        result: 'pass',
        images: deployment.images,
        ...(deployment.asked ? {} : { note: NOT_ASKED }),
      }
    : { result: 'fail', reason: deployment.reason, evidence: deployment.evidence };
}

function failureOf(result: ScriptResult | null): TierFailure | null {
  return result?.result === 'fail' ? result : null;
}
