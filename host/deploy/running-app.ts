import { setTimeout as sleep } from 'node:timers/promises';
import type { App, ImageSeen } from '../../domain/app.ts';
import { runningTasks, type ServiceSeen } from '../../domain/convergence.ts';
import { quotableLine } from '../../domain/printable.ts';
import type { Config } from '../config/config.ts';
import { digestOf } from '../engine/image-name.ts';
import type { Swarm } from '../engine/swarm.ts';
import { questionFor, type Prober } from '../probe/prober.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { differences } from './differences.ts';
import type { PreparedRecipes } from './prepared-recipes.ts';
import type { RunningTasks } from './running-tasks.ts';

/** What is deployed, whoever did it. */
export interface Deployed {
  /** As the label of the service `app` says; null where it says none. */
  version: string | null;
  /** What its services run on. */
  images: Record<string, ImageSeen>;
  /** The volumes that they have mounted, by name. */
  volumes: string[];
}

export interface RunningApps {
  /** What is deployed as a stack; null when nothing is. */
  deployed(stack: string): Promise<Deployed | null>;
  /**
   * In what that which runs is another than what would be deployed, as an operator may have chosen it: one short text each.
   */
  differences(app: App): Promise<string[]>;
  /** Whether the app as it runs is at rest and serves: asked again for as long as the patience, in milliseconds, lasts. */
  serves(app: App, patienceMs: number): Promise<{ ok: true } | { ok: false; reason: string }>;
}

export interface RunningAppsSettings {
  via: Config['probe']['via'];
  swarm: Pick<Swarm, 'observe' | 'services' | 'specs'>;
  prober: Pick<Prober, 'ask'>;
  recipes: PreparedRecipes;
  running: Pick<RunningTasks, 'atRest'>;
  signal: AbortSignal;
  report: (what: string) => void;
}

const POLL_MS = 1_000;
const ANSWER_MS = 10_000;

export function createRunningApps(settings: RunningAppsSettings): RunningApps {
  const { via, swarm, prober, recipes, running, signal, report } = settings;

  return {
    async deployed(stack) {
      const { services } = await swarm.observe(stack);
      if (services.length === 0) return null;
      const app = services.find(({ name }) => name === 'app');
      return {
        version: app?.labels[`coop-cloud.${stack}.version`] ?? null,
        images: Object.fromEntries(services.map((service) => [service.name, imageOf(service)])),
        volumes: [
          ...new Set((await swarm.services(stack)).flatMap(({ mounts }) => mounts.map((one) => one.volume))),
        ].sort(),
      };
    },

    async differences(app) {
      try {
        return differences(app, await recipes.of(app), await swarm.specs(app.stack));
      } catch (error) {
        if (error instanceof RecipeProblem) return [error.message];
        throw error;
      }
    },

    async serves(app, patienceMs) {
      const until = Date.now() + patienceMs;
      const rest = await running.atRest(app);
      if (!rest.ok) return rest;
      try {
        const question = questionFor(app.settings.probe, await recipes.of(app), via);
        if (question === null) return { ok: true };
        for (;;) {
          const seen = await swarm.observe(app.stack);
          const answer = await prober.ask(app, question, seen, { timeoutMs: ANSWER_MS, signal });
          if (answer.serves) return { ok: true };
          const reason = quotableLine(answer.why);
          if (Date.now() >= until) return { ok: false, reason };
          report(`waiting: ${reason}`);
          await sleep(POLL_MS, undefined, { signal });
        }
      } catch (error) {
        if (error instanceof RecipeProblem) return { ok: false, reason: error.message };
        throw error;
      }
    },
  };
}

/** As its spec names it; by the image's ID where the spec says no digest. */
function imageOf(service: ServiceSeen): ImageSeen {
  const [task] = runningTasks(service);
  const digest = digestOf(service.image) ?? task?.imageId ?? '';
  return { image: service.image.replace(/@.*$/, ''), digest };
}
