import type { Config } from './config/config.ts';
import { createBackups, type Backups } from './data/backups.ts';
import { createSnapshots, type Snapshots } from './data/snapshots.ts';
import { createWarmData, type WarmData } from './data/warm-data.ts';
import { createStackData, type StackData } from './data/stack-data.ts';
import type { Deploying } from './deploy/deploying.ts';
import { createRealmsAt, type RealmsAt } from './keycloak/realms-at.ts';
import type { ReconciledStack } from './engine/ownership.ts';
import type { ProcessRunner } from './machine/process.ts';
import { timed, type Spend } from './machine/stopwatch.ts';
import type { Canonicals } from './store/canonicals.ts';

/** What one attempt lends to what it works with, so that it ends, or stops changing things, when it does. */
export interface AttemptBonds {
  commands: ProcessRunner;
  /** For the environment of what is started elsewhere than by `run`, so that it is found when this ends. */
  commandMark: string;
  signal: AbortSignal;
  /** Throws when this attempt no longer holds the host. */
  guard(): Promise<void>;
  report(what: string): void;
  /** Notes what its time is spent on. */
  spend: Spend;
  /** When the step is ended, milliseconds since the epoch. */
  until: number;
  /** The live service that this is the reconcile of; none where it is no reconcile. */
  reconciled?: ReconciledStack;
}

/** What changes things on this host, for one attempt of a step. */
export interface Tools extends Deploying {
  snapshots: Snapshots;
  backups: Backups;
  warm: WarmData;
  data: StackData;
  realmsAt: RealmsAt;
}

export interface ToolsSettings {
  config: Pick<Config, 'zone' | 'state' | 'limits' | 'keycloak'>;
  canonicals: Canonicals;
  now(): Date;
}

/** All tools of an attempt: whatever deploys, and what keeps data over it. */
export function createTools(
  { config, canonicals, now }: ToolsSettings,
  deploying: Deploying,
  { commands, signal, guard, report, spend }: AttemptBonds,
): Tools {
  const { deployer, stacks } = deploying;
  const { zone, state, limits } = config;
  const snapshots = timed(spend, 'data', createSnapshots(commands));
  const { headroom } = limits;
  return {
    ...deploying,
    snapshots,
    realmsAt: createRealmsAt({ config, stacks, signal, guard }),
    data: createStackData({ headroom, snapshots, stacks, guard }),
    backups: timed(spend, 'data', createBackups({ state, commands, signal, guard, report })),
    warm: createWarmData({
      zone,
      headroom,
      canonicals,
      snapshots,
      deployer,
      stacks,
      guard,
      report,
      now,
    }),
  };
}
