import { setTimeout as sleep } from 'node:timers/promises';
import { Fault } from '../../domain/fault.ts';
import type { Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import { otherZones } from '../engine/ownership.ts';
import { createPulledImages, removeUnneededImages, type ImagePolicy } from '../engine/pulled-images.ts';
import type { Things } from '../engine/things.ts';

export interface OldImages {
  /**
   * Removes images that we brought onto this engine and that no deployment has needed since `before`, and while room is
   * short others that nobody needs now, but for those whose digest is named here, or that anybody's container or service
   * has. Removes none on an engine that another installation uses too, whose records cannot be seen from here. Answers
   * what could not be removed, and why.
   */
  removeOldImages(keep: ImagePolicy): Promise<string[]>;
}

export interface OldImagesSettings extends Pick<EngineAccess, 'docker' | 'guard'> {
  config: Pick<Config, 'zone' | 'state' | 'docker'>;
  swarm: Pick<Things, 'labelled'>;
}

const PING_MS = 10_000;

export function createOldImages({ config, docker, guard, swarm }: OldImagesSettings): OldImages {
  const pulled = createPulledImages(config.state, () => new Date());
  return {
    async removeOldImages(keep) {
      if ((await pulled.list()).size === 0) return [];
      // This comes before the preflight, and an engine that does not answer is for that to find.
      const answers = docker.ping().then(
        () => true,
        () => false,
      );
      if (!(await Promise.race([answers, sleep(PING_MS, false, { ref: false })]))) {
        throw new Fault('Daemon', `the Docker engine does not answer at ${config.docker.socket}`);
      }
      if ((await otherZones(swarm, config.zone)).length > 0) return [];
      const { problems } = await removeUnneededImages({ docker, guard, pulled }, keep);
      return problems;
    },
  };
}
