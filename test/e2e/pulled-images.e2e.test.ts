import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import type { Config } from '../../host/config/config.ts';
import { processRunner } from '../../host/machine/process.ts';
import {
  createPulledImages,
  removeUnneededImages,
  type PulledImages,
} from '../../host/engine/pulled-images.ts';
import { ensureImage, ensureSame, type ImageHost } from '../../host/engine/images.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { whilePulling } from '../../host/deploy/pulling.ts';
import { importBusybox } from './engine.ts';
import { packImage, startRegistry, type Registry, type RegistryAnswer } from './registry.ts';
import { plainLimits } from '../fixtures/plain-config.ts';
import { startSlowRelay } from '../fixtures/slow-relay.ts';

/** What becomes of images that we pulled, on the engine of this machine and from a registry of our own. */

const DAY_MS = 24 * 60 * 60_000;
const hex = randomBytes(3).toString('hex');
const docker = new Dockerode({ socketPath: '/var/run/docker.sock' });
const local = (version: number): string => `localhost/recipe-sweep/pulled:${hex}-${version}`;

let scratch: string;
let registry: Registry;
let packed: Map<string, RegistryAnswer>[];
/** Which of the two images the tag stands for. */
let current: 0 | 1;
/** As whom the registry is to be asked. */
let login: string | null = null;
let nowMs: number;
let pulled: PulledImages;
let wanted: string;
const made: { remove(options?: object): Promise<unknown> }[] = [];

beforeAll(async () => {
  packed = [1, 2].map((version) => {
    importBusybox(local(version), ['sh', 'sleep', `v${version}-${hex}`]);
    return packImage(local(version));
  });
  // From here on the engine has only what is pulled.
  for (const version of [1, 2]) await docker.getImage(local(version)).remove();
  registry = await startRegistry(
    (url) => packed[current]?.get(url.replace(/.*\//, '')) ?? null,
    () => login,
  );
  wanted = `${registry.host}/thing/app:1`;
});

beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'pulled-images-'));
  current = 0;
  login = null;
  nowMs = Date.now();
  isShort = async () => false;
  pulled = createPulledImages(scratch, () => new Date(nowMs));
});

afterEach(async () => {
  for (const thing of made.splice(0)) await thing.remove({ force: true });
  for (const name of await names()) {
    // The last tag of a repository takes its digests with it.
    await docker
      .getImage(name)
      .remove()
      .catch(() => undefined);
  }
  expect(await names()).toEqual([]);
  rmSync(scratch, { recursive: true });
});

afterAll(() => registry?.close());

const host = (): ImageHost => ({
  docker,
  pull: 'always',
  signal: new AbortController().signal,
  guard: async () => undefined,
  logins: path.join(scratch, 'docker', 'config.json'),
  pulled,
});
const digest = (version: 0 | 1): string => packed[version]?.get('1')?.digest ?? '';
const byDigest = (version: 0 | 1): string => wanted.replace(/:1$/, `@${digest(version)}`);

/** Those names on the engine that are of this registry, or given here. */
async function names(): Promise<string[]> {
  const images = await docker.listImages({ digests: true });
  return images
    .flatMap(({ RepoTags, RepoDigests }) => [...(RepoTags ?? []), ...(RepoDigests ?? [])])
    .filter((name) => name.startsWith(registry.host) || name.startsWith(`operator-${hex}`))
    .sort();
}

/** Whether room is short. */
let isShort: () => Promise<boolean>;

async function remove(needed: readonly string[] = []): Promise<string[]> {
  const before = new Date(nowMs + 1);
  const guard = async (): Promise<void> => undefined;
  const { removed, problems } = await removeUnneededImages(
    { docker, guard, pulled },
    { before, digests: new Set(needed), isShort },
  );
  expect(problems).toEqual([]);
  return removed.sort();
}

it('a registry that wants a login says nothing of the image, until docker login was told one', async () => {
  login = 'ci:s3:cret';
  const folder = path.join(scratch, 'docker');
  const logIn = async (password: string): Promise<void> => {
    const args = ['--config', folder, 'login', '--username', 'ci', '--password-stdin', registry.host];
    // Not in this thread, which is the registry's.
    const docker = execFile('docker', args);
    docker.stdin?.end(password);
    const [status] = (await once(docker, 'exit')) as [number];
    expect(status).toBe(0);
  };
  await expect(ensureImage(host(), wanted)).rejects.toMatchObject({
    type: 'Registry',
    message: expect.stringContaining(`docker --config ${folder} login ${registry.host}`),
  });
  await logIn('s3:cret');
  expect(await ensureImage(host(), wanted)).toMatchObject({ ok: true });
  login = 'ci:changed';
  await expect(ensureImage(host(), wanted)).rejects.toMatchObject({ type: 'Registry' });
});

it('an image that we pulled goes when nobody needs it, with all of its names', async () => {
  await ensureImage(host(), wanted);
  expect(await names()).toEqual([wanted, byDigest(0)].sort());
  expect(await remove()).not.toEqual([]);
  expect(await names()).toEqual([]);
  expect(await remove()).toEqual([]);
  expect([...(await pulled.list())]).toEqual([]);
});

it('one that a record names, or that was needed lately, stays', async () => {
  await ensureImage(host(), wanted);
  expect(await remove([digest(0)])).toEqual([]);
  nowMs += 2 * 60 * 60_000;
  const before = new Date(nowMs - 60_000);
  await pulled.needed({ id: (await docker.getImage(wanted).inspect()).Id, names: [wanted] });
  await removeUnneededImages(
    { docker, guard: async () => undefined, pulled },
    { before, digests: new Set(), isShort },
  );
  expect(await names()).toEqual([wanted, byDigest(0)].sort());
});

it('while room is short others go as well, whoever was needed longest ago first, and none that is needed', async () => {
  await ensureImage(host(), wanted);
  nowMs += DAY_MS;
  current = 1;
  await ensureImage(host(), wanted);
  const removeYoung = async (needed: readonly string[] = []): Promise<string[]> => {
    const guard = async (): Promise<void> => undefined;
    const policy = { before: new Date(0), digests: new Set(needed), isShort };
    return (await removeUnneededImages({ docker, guard, pulled }, policy)).removed.sort();
  };
  expect(await removeYoung()).toEqual([]);
  // Until the first is gone.
  isShort = async () => (await names()).includes(byDigest(0));
  await removeYoung([digest(0)]);
  expect(await names()).toEqual([byDigest(0)]);
  await ensureImage(host(), wanted);
  expect(await removeYoung()).toEqual([byDigest(0)]);
  expect(await names()).toEqual([wanted, byDigest(1)].sort());
});

it("one that a container or a service has, whoever's, stays", async () => {
  await ensureImage(host(), wanted);
  const container = await docker.createContainer({ Image: wanted, Cmd: ['true'] });
  made.push(container);
  expect(await remove()).toEqual([]);
  await made.pop()?.remove();
  const service = (await docker.createService({
    Name: `pulled-${hex}`,
    TaskTemplate: { ContainerSpec: { Image: byDigest(0) } },
    Mode: { Replicated: { Replicas: 0 } },
  })) as unknown as { id: string };
  made.push(docker.getService(service.id));
  expect(await remove()).toEqual([]);
  expect(await names()).toEqual([wanted, byDigest(0)].sort());
});

it('of a tag that moved, the old image goes and the new one stays as long as it is needed', async () => {
  await ensureImage(host(), wanted);
  current = 1;
  await ensureImage(host(), wanted);
  expect(await names()).toEqual([wanted, byDigest(0), byDigest(1)].sort());
  expect(await remove([digest(1)])).toEqual([byDigest(0)]);
  expect(await names()).toEqual([wanted, byDigest(1)].sort());
});

it('what was there before, and what has a name that others gave, stays', async () => {
  await docker.pull(wanted).then(finished);
  await ensureImage(host(), wanted);
  expect(await remove()).toEqual([]);
  // the same image under another name
  current = 1;
  await ensureImage(host(), wanted);
  await docker.getImage(wanted).tag({ repo: `operator-${hex}`, tag: '1' });
  expect(await remove()).toEqual([]);
  expect(await names()).toEqual([`operator-${hex}:1`, wanted, byDigest(0), byDigest(1)].sort());
});

it('so does one that somebody pulled by its digest before we pulled it by its tag', async () => {
  await docker.pull(byDigest(0)).then(finished);
  await ensureImage(host(), wanted);
  expect(await remove()).toEqual([]);
  expect(await names()).toEqual([wanted, byDigest(0)].sort());
});

it('a pull that broke off leaves no claim on what somebody brings later', async () => {
  await pulled.expect(wanted);
  const guard = async (): Promise<void> => undefined;
  const before = new Date(0);
  await removeUnneededImages({ docker, guard, pulled }, { before, digests: new Set(), isShort });
  expect([...(await pulled.list())]).toEqual([]);
});

it('a name that has another image by now is somebody else’s', async () => {
  await ensureImage(host(), wanted);
  current = 1;
  await docker.pull(wanted).then(finished);
  expect(await remove()).toEqual([byDigest(0)]);
  expect(await names()).toEqual([wanted, byDigest(1)].sort());
});

it('one that is pulled by its digest is ours by its digest', async () => {
  await ensureSame(host(), { image: wanted, digest: digest(0), isOnlyOne: true, remedy: '' });
  expect(await names()).toEqual([byDigest(0)]);
  expect(await remove()).toEqual([byDigest(0)]);
  expect(await names()).toEqual([]);
});

it('one whose pull nobody saw the end of is ours all the same', async () => {
  await pulled.expect(wanted);
  await docker.pull(wanted).then(finished);
  await ensureImage(host(), wanted);
  expect([...(await pulled.list()).keys()].sort()).toEqual([wanted, byDigest(0)].sort());
  await remove();
  expect(await names()).toEqual([]);
});

it('one that could not be pulled is nobody’s, and so whoever brings it later keeps it', async () => {
  const missing = wanted.replace(/:1$/, ':2');
  await expect(ensureImage(host(), missing)).rejects.toMatchObject({ type: 'Registry' });
  expect([...(await pulled.list())]).toEqual([]);
});

it('a list that cannot be read stops no deployment, and nothing is removed by it', async () => {
  writeFileSync(path.join(scratch, 'images.json'), '{');
  expect(await ensureImage(host(), wanted)).toMatchObject({ ok: true });
  await expect(remove()).rejects.toMatchObject({ type: 'RecordUnreadable' });
  expect(readFileSync(path.join(scratch, 'images.json'), 'utf8')).toBe('{');
});

/** What looks after this engine, for a host that has so much room to spare. */
function stacksOf(zone: string, signal: AbortSignal, limits: Config['limits']) {
  return deployingOnSwarm({
    config: {
      zone,
      state: scratch,
      docker: { socket: '/var/run/docker.sock', pull: 'always' },
      probe: { via: 'task' },
      limits,
    },
    commands: processRunner({ environment: {} }),
    docker,
    signal,
    guard: async () => undefined,
    commandMark: '',
    report: () => undefined,
  }).stacks;
}

it('none goes from an engine that another installation uses too', async () => {
  await ensureImage(host(), wanted);
  const Labels = { 'recipe-sweep.zone': `other-${hex}.test` };
  await docker.createVolume({ Name: `pulled-${hex}`, Labels });
  made.push(docker.getVolume(`pulled-${hex}`));
  const stacks = stacksOf(`mine-${hex}.test`, new AbortController().signal, plainLimits());
  const before = new Date(nowMs + 1);
  expect(await stacks.removeOldImages({ before, digests: new Set(), isShort })).toEqual([]);
  expect(await names()).toEqual([wanted, byDigest(0)].sort());
});

describe('what is pulled ahead', () => {
  let given: AbortController;
  let limits: Config['limits'];
  beforeEach(() => {
    given = new AbortController();
    limits = plainLimits();
  });
  const ahead = (...images: [image: string, digest?: string][]): Promise<string[]> =>
    stacksOf(`ahead-${hex}.test`, given.signal, limits).pullAhead(
      images.map(([image, digest_ = null]) => ({ image, digest: digest_ })),
    );
  /** A registry that takes some seconds for an image. */
  const slowly = async (body: (image: string) => Promise<void>): Promise<void> => {
    const relay = await startSlowRelay(Number(registry.host.split(':')[1]), 100_000);
    try {
      await body(`${relay.host}/thing/app:1`);
      const left = await docker.listImages({ digests: true });
      const named = left.flatMap(({ RepoTags, RepoDigests }) => [
        ...(RepoTags ?? []),
        ...(RepoDigests ?? []),
      ]);
      expect(named.filter((name) => name.startsWith(relay.host))).toEqual([]);
    } finally {
      relay.close();
    }
  };

  it('is ours as if a deployment had pulled it, by its tag and by a digest that was proven', async () => {
    current = 1;
    expect(await ahead([wanted])).toEqual([]);
    current = 0;
    expect(await ahead([wanted, digest(0)])).toEqual([]);
    expect(await names()).toEqual([wanted, byDigest(0), byDigest(1)].sort());
    nowMs = Date.now();
    await remove();
    expect(await names()).toEqual([]);
  });

  it('is as much as can be had: of what is missing it is said, and the rest is pulled', async () => {
    const missing = wanted.replace(/:1$/, ':2');
    expect(await ahead([missing], [wanted])).toEqual([expect.stringContaining(`${missing}: `)]);
    expect(await names()).toEqual([wanted, byDigest(0)].sort());
  });

  it('is nothing where it would leave less than twice the headroom', async () => {
    limits.headroom = 1e15;
    expect(await ahead([wanted], [wanted, digest(0)])).toEqual([
      expect.stringMatching(/app:1: .* free at .*, and 2000000\.0 GB, twice the headroom, are left alone/),
    ]);
    expect(await names()).toEqual([]);
    expect([...(await pulled.list())]).toEqual([]);
  });

  it('ends where the disk fills up meanwhile, and leaves nothing', () =>
    slowly(async (image) => {
      const pulling = ahead([image]);
      await expect.poll(async () => [...(await pulled.list()).keys()]).toEqual([image]);
      limits.headroom = 1e15;
      expect(await pulling).toEqual([expect.stringContaining('twice the headroom')]);
    }));

  it('ends with the sweep, and leaves nothing', () =>
    slowly(async (image) => {
      const pulling = ahead([image]);
      await expect.poll(async () => [...(await pulled.list()).keys()]).toEqual([image]);
      given.abort(new Error('given up'));
      await expect(pulling).rejects.toThrow('given up');
    }));

  it('waits for a deployment that pulls', async () => {
    let pulling: Promise<string[]> | undefined;
    await whilePulling(scratch, async () => {
      pulling = ahead([wanted]);
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      expect(await names()).toEqual([]);
    });
    expect(await pulling).toEqual([]);
    expect(await names()).toEqual([wanted, byDigest(0)].sort());
  });
});

async function finished(stream: NodeJS.ReadableStream): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    docker.modem.followProgress(stream, (error) => (error ? reject(error) : resolve()));
  });
}
