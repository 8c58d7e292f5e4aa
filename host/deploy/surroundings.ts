import type Dockerode from 'dockerode';
import type { App } from '../../domain/app.ts';
import { Fault } from '../../domain/fault.ts';
import { LABEL } from '../../domain/labels.ts';
import type { Config } from '../config/config.ts';
import { engine } from '../engine/daemon.ts';
import type { StackRemoval } from '../engine/stack-removal.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';
import { freeBytes, gigabytes } from '../machine/headroom.ts';
import type { PreparedRecipe } from '../prepare/prepare.ts';
import { routesOf } from '../recipe-format/neighbours.ts';
import { PROXY_NETWORK } from '../recipe-format/networks.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { checkPortsFree } from './taken-ports.ts';

/** What stands where a stack goes, looked at before anything of it is made. */

export interface Surroundings {
  docker: Dockerode;
  zone: string;
  removal: Pick<StackRemoval, 'ours'>;
}

/** Nothing of others stands where the stack goes, and what it expects of the host is there. */
export async function checkSurroundings(
  { docker, zone, removal }: Surroundings,
  app: App,
  recipe: PreparedRecipe,
): Promise<void> {
  await removal.ours(app);
  const { Volumes: volumes } = await engine('listing volumes', () => docker.listVolumes());
  // What carries the stack's label was looked at with the stack.
  const foreign = volumes.find(
    ({ Name, Labels }) => recipe.volumes.includes(Name) && (Labels as Labels)?.[STACK_LABEL] !== app.stack,
  );
  if (foreign) {
    throw new Fault(
      'NotOurs',
      `volume ${foreign.Name}, which ${app.stack} would mount, lacks its labels (${LABEL.zone}=${zone}): it is not ours`,
    );
  }
  const networks = await engine('listing networks', () => docker.listNetworks());
  const missing = recipe.externalNetworks.find((name) => !networks.some(({ Name }) => Name === name));
  if (missing === PROXY_NETWORK) {
    throw new Fault(
      'Preflight',
      `the network ${PROXY_NETWORK} is missing on this swarm: docker network create --driver overlay ${PROXY_NETWORK}`,
    );
  }
  if (missing !== undefined) {
    throw new RecipeProblem(recipe.at('networks'), `the external network ${missing} does not exist`);
  }
  await checkRoutes(docker, app, recipe);
  await checkPortsFree(docker, app.stack, recipe.ports);
}

/** Two services with one route would have the proxy send the neighbour's visitors here, or nowhere. */
async function checkRoutes(docker: Dockerode, app: App, recipe: PreparedRecipe): Promise<void> {
  const services = await engine('listing services', () => docker.listServices());
  const taken = new Map(
    services.flatMap(({ Spec }) => {
      const labels = Spec?.Labels ?? {};
      if (labels[STACK_LABEL] === app.stack) return [];
      return [...routesOf(Object.entries(labels))].map((route) => [route, Spec?.Name ?? ''] as const);
    }),
  );
  for (const { name, labels } of recipe.services) {
    const route = [...routesOf(labels)].find((one) => taken.has(one));
    if (route === undefined) continue;
    const place = recipe.at('services', name, 'deploy', 'labels');
    throw new RecipeProblem(place, `the ${route} is taken by ${taken.get(route)}`);
  }
}

/** The engine answers null for a volume without labels, whatever the types say. */
type Labels = Record<string, string> | null;

/** Disks that fill up during a deployment would make red what is no fault of the package. */
export async function checkRoom(docker: Dockerode, config: Pick<Config, 'state' | 'limits'>): Promise<void> {
  const { DockerRootDir } = (await engine('looking for its folder', () => docker.info())) as {
    DockerRootDir: string;
  };
  const folders = [
    [DockerRootDir, "the engine's folder"],
    [config.state, 'where evidence is written'],
  ] as const;
  for (const [folder, what] of folders) {
    const free = await freeBytes(folder);
    if (free === null || free >= config.limits.headroom) continue;
    throw new Fault(
      'Disk',
      `${gigabytes(free)} free at ${folder}, ${what}, and ${gigabytes(config.limits.headroom)} are wanted ("limits.headroom"): free some space, or do without the data of a canonical: recipe-sweep canonical drop-data <recipe>`,
    );
  }
}
