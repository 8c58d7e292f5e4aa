import path from 'node:path';
import { createInterface } from 'node:readline';
import type Dockerode from 'dockerode';
import { Fault } from '../../domain/fault.ts';
import { engine, engineMessage, saysDiskFull } from './daemon.ts';
import { digestOf, DOCKER_HUB, nameOf, registryOf, repositoryOf, shortName } from './image-name.ts';
import { loginFor } from './registry-login.ts';
import { namedImage, type NamedImage, type PulledImages } from './pulled-images.ts';

/** What keeps an image from being had: the package's fault (missing), or the platform's. */
export type PullTrouble = 'missing' | 'Registry' | 'Disk';

const PLATFORM =
  /toomanyrequests|too many requests|no such host|connection refused|connection reset|network is unreachable|no route to host|timeout|timed out|deadline exceeded|\btls\b|x509|certificate|\bEOF\b|temporary failure|server misbehaving|internal server error|bad gateway|service unavailable|unexpected status( code)?:? ?(429|5\d\d)|status: (429|5\d\d)|server gave HTTP response to HTTPS client/i;
/** Docker's words for any "denied": of a repository that does not exist, or wants a login. */
const HIDDEN = /repository does not exist or may require/i;
const NO_LOGIN =
  /unauthorized|no basic auth credentials|authentication required|\bdenied\b|status( code)?:? ?401/i;
const MISSING =
  /manifest unknown|manifest for .* not found|name unknown|not found|does not exist|invalid reference format|no matching manifest/i;

/**
 * Sorts a pull's failure. Only words that say the image itself does not exist count against the package; whatever
 * is not understood is the platform's, and so is a login that is missing. Docker Hub, which every user of a recipe
 * asks without a login, hides what does not exist behind "denied": there that word counts against the package too.
 */
export function classifyPull(image: string, message: string): PullTrouble {
  const said = message.replaceAll(image, 'IMAGE').replaceAll(repositoryOf(image), 'IMAGE');
  if (saysDiskFull(said)) return 'Disk';
  if (PLATFORM.test(said)) return 'Registry';
  if (HIDDEN.test(said)) return registryOf(image) === DOCKER_HUB ? 'missing' : 'Registry';
  if (NO_LOGIN.test(said)) return 'Registry';
  return MISSING.test(said) ? 'missing' : 'Registry';
}

/** An image as it lies on the engine. */
export interface PresentImage extends NamedImage {
  /** Registry digest where it came from one, else the ID. */
  digest: string;
  /**
   * What a service's spec should say: with the digest where there is one, as docker resolves it, so that a
   * tag that moves in the registry is an update and the engine need not ask for it again.
   */
  reference: string;
}

export type EnsuredImage = { ok: true; image: PresentImage } | { ok: false; reason: string };

export interface ImageHost {
  docker: Dockerode;
  /** always asks the registry for each image anew, missing only for those not on the engine. */
  pull: 'always' | 'missing';
  signal: AbortSignal;
  /** The file where `docker login` keeps what it was told, as the configuration's environment has it. */
  logins: string;
  /** Awaited before each pull. */
  guard: () => Promise<void>;
  /** What we bring onto the engine, and when it was needed. */
  pulled: PulledImages;
}

/** A registry that sends nothing for so long is taken for unreachable. */
const SILENCE_MS = 120_000;

/** An image by its digest, and what follows when it is gone. */
export interface Same {
  image: string;
  digest: string;
  /** Its recipe has no other: then it is one that cannot be deployed. Else another look, at another time, helps. */
  isOnlyOne: boolean;
  /** What can be done then. */
  remedy: string;
}

/**
 * Sees to it that this very image is on the engine: what the name stood for when its digest was seen. Not ok when the
 * registry has it no longer, and there is no other. Throws Fault Registry when it is not to be had now, Disk or
 * Daemon.
 */
export async function ensureSame(
  host: ImageHost,
  { image, digest, isOnlyOne, remedy }: Same,
): Promise<EnsuredImage> {
  const byDigest = `${nameOf(image)}@${digest}`;
  const byName = await inspect(host.docker, image);
  if (byName?.digest === digest) return { ok: true, image: byName };
  const reference = image.includes('@') ? image : `${image}@${digest}`;
  const named = (found: PresentImage): EnsuredImage => ({
    ok: true,
    image: { ...found, digest, reference },
  });
  const there = await inspect(host.docker, byDigest);
  if (there) return named(there);
  await host.guard();
  const trouble = await pullOurs(host, byDigest);
  const pulled = trouble === null ? await inspect(host.docker, byDigest) : null;
  if (pulled) return named(pulled);
  const kind = trouble === null ? null : classifyPull(byDigest, trouble);
  if (kind === 'Disk') throw new Fault('Disk', `pulling ${byDigest}: the engine's disk is full: ${trouble}`);
  const now = byName === null ? 'nothing on this engine' : byName.digest;
  const reason = `${image} was ${digest} when it was looked at first, is ${now} now, and that one cannot be had any more: ${trouble ?? 'the engine does not have it'}; ${remedy}`;
  if (kind === 'missing' && isOnlyOne) return { ok: false, reason };
  throw new Fault('Registry', reason);
}

/**
 * Sees to it that the image is on the engine. Not ok when the registry says that there is no such image.
 * Throws Fault Registry, Disk or Daemon.
 */
export async function ensureImage(host: ImageHost, image: string): Promise<EnsuredImage> {
  if (host.pull === 'missing') {
    const present = await inspect(host.docker, image);
    if (present) return { ok: true, image: present };
  }
  await host.guard();
  const trouble = await pullOurs(host, image);
  if (trouble !== null) {
    switch (classifyPull(image, trouble)) {
      case 'missing':
        return { ok: false, reason: `image ${image} cannot be pulled: ${trouble}` };
      case 'Disk':
        throw new Fault('Disk', `pulling ${image}: the engine's disk is full: ${trouble}`);
      case 'Registry':
        throw new Fault('Registry', `pulling ${image}: ${trouble}${adviceOn(trouble, host.logins, image)}`);
    }
  }
  const present = await inspect(host.docker, image);
  if (!present) throw new Fault('Daemon', `${image} was pulled, but the engine does not have it`);
  return { ok: true, image: present };
}

/** What to do where a registry wants to know who asks. */
function adviceOn(trouble: string, logins: string, image: string): string {
  if (!NO_LOGIN.test(trouble)) return '';
  const registry = registryOf(image);
  const of = registry === DOCKER_HUB ? '' : ` ${registry}`;
  return `; log in as the worker's user: docker --config ${path.dirname(logins)} login${of}`;
}

/** Pulls, and enters what of it was not there before. */
async function pullOurs(host: ImageHost, image: string): Promise<string | null> {
  const { docker, pulled } = host;
  const login = await loginFor(host.logins, image);
  const listed = await engine('listing images', () => docker.listImages({ digests: true }));
  const before = new Map(
    listed.flatMap(({ Id, RepoTags, RepoDigests }) =>
      [...(RepoTags ?? []), ...(RepoDigests ?? [])].map((name) => [name, Id] as const),
    ),
  );
  const name = shortName(image);
  // Before, since nobody could tell afterwards whose it is if this process died over it.
  if (!before.has(name)) await pulled.expect(name);
  const trouble = await pull(host, image, login);
  const found = await namedImage(docker, image);
  if (trouble === null && found) await pulled.pulled(found, before);
  // Who brings it later is somebody else.
  if (trouble !== null && !found) await pulled.forget([name]);
  return trouble;
}

/** Pulls; null when that went well, else why not, in the engine's words. */
async function pull(
  host: ImageHost,
  image: string,
  authconfig: Dockerode.AuthConfig | undefined,
): Promise<string | null> {
  const silence = new AbortController();
  const signal = AbortSignal.any([host.signal, silence.signal]);
  let watch = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    const stream = await host.docker.pull(image, { abortSignal: signal, authconfig });
    for await (const line of createInterface({ input: stream, signal })) {
      clearTimeout(watch);
      watch = setTimeout(() => silence.abort(), SILENCE_MS);
      const { error } = JSON.parse(line) as { error?: string };
      if (error !== undefined) return error;
    }
    signal.throwIfAborted();
    return null;
  } catch (error) {
    host.signal.throwIfAborted();
    if (silence.signal.aborted) return `timeout: nothing came for ${SILENCE_MS / 1000} s`;
    if (error instanceof Error && 'code' in error && !('statusCode' in error)) {
      throw new Fault('Daemon', `pulling ${image}: the Docker engine failed: ${engineMessage(error)}`, {
        cause: error,
      });
    }
    return engineMessage(error);
  } finally {
    clearTimeout(watch);
  }
}

async function inspect(docker: Dockerode, image: string): Promise<PresentImage | null> {
  const found = await namedImage(docker, image);
  if (found === null) return null;
  const repository = repositoryOf(image);
  const digest = digestOf(found.names.find((name) => name.startsWith(`${repository}@`)) ?? '');
  return {
    ...found,
    digest: digest ?? found.id,
    reference: digest === null || image.includes('@') ? image : `${image}@${digest}`,
  };
}

/** What the images with these digests take on the engine, in bytes: unpacked, layers that several have counted with each. */
export async function imageBytes(docker: Dockerode, digests: ReadonlySet<string>): Promise<number> {
  const images = await engine('listing images', () => docker.listImages({ digests: true }));
  return images
    .filter(
      ({ Id, RepoDigests }) =>
        digests.has(Id) || (RepoDigests ?? []).some((name) => digests.has(digestOf(name) ?? '')),
    )
    .reduce((sum, { Size }) => sum + Size, 0);
}
