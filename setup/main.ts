import { ensureCompose } from './compose.ts';
import { ensureDocker } from './docker.ts';
import { ensureBuilt } from './ensure-built.ts';
import { ensureFixtureImages } from './images.ts';
import { ALL_IMAGES, STAND_IN_IMAGES, type FixtureImage } from './images/catalogue.ts';
import { standIns } from './images/stand-ins.ts';
import type { Say } from './machine.ts';
import { ensureRegistry } from './registry.ts';
import { ensureProxyNetwork, ensureSwarm } from './swarm.ts';
import { ensureTemporal } from './temporal.ts';
import { ensureTools, SWEEP_PROGRAMS, TEST_PROGRAMS } from './tools.ts';

/** What is not said about a step that was over at once. */
const WORTH_SAYING_MS = 1_000;

/** What set-up found or made, for whoever goes on with it. */
export interface Ready {
  /** Path of the Temporal CLI. */
  temporal: string;
  /** Path of the image registry that the fixture images are pulled from. */
  registry: string;
  /** Whether the proxy network is of our making. */
  madeProxyNetwork: boolean;
}

export interface Wanted {
  images: readonly FixtureImage[];
  /** Whether tests will be run: they start programs that a sweep does not need. */
  tests: boolean;
}

/**
 * Takes a bare Debian or Ubuntu with Node and git to where this project's tests run: dist/, tools, a docker engine
 * in swarm mode, the Temporal CLI, an image registry and those images of the fixture recipes. What is there already
 * is used; each step says what it will do before it does it. Needs root where something is missing.
 */
export async function setUp(say: Say, { images, tests }: Wanted): Promise<Ready> {
  const programs = tests ? { ...SWEEP_PROGRAMS, ...TEST_PROGRAMS } : SWEEP_PROGRAMS;
  await timed(say, 'build', () => ensureBuilt(say));
  await timed(say, 'tools', () => ensureTools(say, programs));
  await timed(say, 'docker', () => ensureDocker(say));
  await timed(say, 'swarm', () => ensureSwarm(say));
  const madeProxyNetwork = await timed(say, 'network', () => ensureProxyNetwork(say));
  const temporal = await timed(say, 'temporal', () => ensureTemporal(say));
  const registry = await timed(say, 'image registry', () => ensureRegistry(say));
  await timed(say, 'fixture images', () => ensureFixtureImages(say, images));
  return { temporal, registry, madeProxyNetwork };
}

/** What all tests together need. */
export async function setUpForTests(say: Say): Promise<void> {
  const images = new Set([...ALL_IMAGES, ...STAND_IN_IMAGES, ...standIns().map(({ image }) => image)]);
  await setUp(say, { images: [...images], tests: true });
  await timed(say, 'docker compose', () => ensureCompose(say));
}

async function timed<T>(say: Say, name: string, step: () => Promise<T>): Promise<T> {
  const began = performance.now();
  const result = await step();
  const took = performance.now() - began;
  if (took > WORTH_SAYING_MS) say(`${name}: done in ${(took / 1000).toFixed(1)} s`);
  return result;
}
