import { createStackRemoval } from '../engine/stack-removal.ts';
import type { ReconciledStack } from '../engine/ownership.ts';
import { openSwarm } from '../engine/swarm.ts';
import { watchEngine } from '../engine/watch-engine.ts';
import type { Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import { createEvidence, type Evidence } from '../evidence/evidence.ts';
import { createPictures } from '../evidence/pictures.ts';
import type { ProcessRunner } from '../machine/process.ts';
import { timed, type Spend } from '../machine/stopwatch.ts';
import { createAppScripts, type AppScripts } from '../scripts/app-scripts.ts';
import { createAppEnvironment } from './app-environment.ts';
import type { Deployer } from './deployer.ts';
import { createPreparedRecipes } from './prepared-recipes.ts';
import { createStacks, type Stacks } from './stacks.ts';
import { createSwarmDeployer } from './swarm-deployer.ts';
import { handOverByAbra } from './abra-hand-over.ts';
import { handOverByDocker } from './docker-hand-over.ts';

/** All that brings apps up on this host's engine and looks after them there. */
export interface Deploying {
  deployer: Deployer;
  stacks: Stacks;
  evidence: Evidence;
  /** Runs the recipes' hooks and checks. */
  scripts: AppScripts;
}

export interface DeployingSettings extends EngineAccess {
  config: Pick<Config, 'zone' | 'state' | 'docker' | 'probe' | 'limits'> & Partial<Pick<Config, 'deployer'>>;
  commands: ProcessRunner;
  /** Marks the commands of this attempt in containers; the runner marks those on this host. */
  commandMark: string;
  /** Short texts on what is being waited for. */
  report: (what: string) => void;
  /** Notes what its time is spent on; without it, nobody asks. */
  spend?: Spend;
  /** The live service that this is the reconcile of; none where it is no reconcile. */
  reconciled?: ReconciledStack | null;
  /** When the step is ended, milliseconds since the epoch; without it, a tier's time from now. */
  until?: number;
}

/** The composition: all is the same whatever hands apps to the swarm, which is docker's client unless abra is configured. */
export function deployingOnSwarm(settings: DeployingSettings): Deploying {
  const { config, commands, docker, signal, guard, commandMark, report, reconciled = null } = settings;
  const until = settings.until ?? Date.now() + config.limits.tier;
  const spend: Spend = settings.spend ?? ((_on, body) => body());
  const { via } = config.probe;
  const access = { docker, signal, guard };
  const swarm = openSwarm({ ...access, commandMark });
  const untimed = createStackRemoval({ swarm, zone: config.zone, reconciled, report });
  const removal = { ...untimed, ...timed(spend, 'app', { stop: untimed.stop }) };
  const recipes = createPreparedRecipes();
  const environment = createAppEnvironment({ config, swarm, servicesOf: recipes.servicesOf });
  const pictures = createPictures({ commands, via, environment });
  const evidence = createEvidence({ swarm, pictures, signal, report });
  const scripts = timed(
    spend,
    'scripts',
    createAppScripts({
      commands,
      environment,
      fit: evidence.fit,
      watchEngine: () => watchEngine(access),
      guard,
      report,
      until,
    }),
  );
  const shared = { ...access, config, swarm, removal, reconciled, recipes, report, spend, until };
  const stacks = createStacks({ ...shared, environment });
  const hands = { commands, guard, report };
  const handOver =
    config.deployer === 'abra' ? handOverByAbra({ ...hands, fit: evidence.fit }) : handOverByDocker(hands);
  const deployer = createSwarmDeployer({ ...shared, commands, scripts, pictures, evidence, handOver });
  return { deployer, stacks, evidence, scripts };
}
