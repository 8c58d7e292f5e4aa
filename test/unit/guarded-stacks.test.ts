import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type Dockerode from 'dockerode';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { App } from '../../domain/app.ts';
import { LABEL } from '../../domain/labels.ts';
import type { Lifetime } from '../../domain/lifetime.ts';
import { deployingOnSwarm, type Deploying } from '../../host/deploy/deploying.ts';
import type { ReconciledStack } from '../../host/engine/ownership.ts';
import { createStackRemoval } from '../../host/engine/stack-removal.ts';
import { STACK_LABEL } from '../../host/engine/stack-label.ts';
import { openSwarm } from '../../host/engine/swarm.ts';
import { processRunner } from '../../host/machine/process.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { plainLimits } from '../fixtures/plain-config.ts';

/** Whatever changes a stack, tried on those that it must leave alone, with an engine that only lists. */

const ZONE = 'ci.example.org';
const STACK = 'warm-thing_ci_example_org';
const DATA = `${STACK}_data`;

let folder: string;
/** Labels of the stack's services, volumes and secrets. */
let labels: Record<string, string>[];
/** What was asked of the engine besides lists. */
let touched: string[];

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'guarded-'));
  touched = [];
});
afterEach(() => rmSync(folder, { recursive: true }));

const saying = (lifetime: string | null, zone = ZONE): Record<string, string> => ({
  [STACK_LABEL]: STACK,
  [LABEL.zone]: zone,
  ...(lifetime === null ? {} : { [LABEL.lifetime]: lifetime }),
});

function docker(): Dockerode {
  const things = (name: string) =>
    labels.map((Labels, index) => ({ ID: `${name}${index}`, Spec: { Name: `${STACK}_${name}`, Labels } }));
  const answers: Record<string, () => Promise<unknown>> = {
    listServices: async () => things('app'),
    listSecrets: async () => things('key'),
    listVolumes: async () => ({ Volumes: labels.map((Labels) => ({ Name: DATA, Labels })) }),
    listContainers: async () => [],
    listNetworks: async () => [],
    listConfigs: async () => [],
    listTasks: async () => [],
    getEvents: () => Promise.reject(new Error('nobody tells of events here')),
  };
  return new Proxy({} as Dockerode, {
    get(_, call: string) {
      const answer = answers[call];
      if (answer !== undefined) return answer;
      return () => {
        touched.push(call);
        throw new Error(`the engine was asked for ${call}`);
      };
    },
  });
}

const access = () => ({
  docker: docker(),
  signal: new AbortController().signal,
  guard: async () => undefined,
  report: () => undefined,
  commandMark: '',
});

function deploying(changes: { docker?: Dockerode; reconciled?: ReconciledStack | null } = {}): Deploying {
  return deployingOnSwarm({
    ...access(),
    ...changes,
    config: {
      zone: ZONE,
      state: folder,
      docker: { socket: '/nonexistent.sock', pull: 'missing' },
      probe: { via: 'task' },
      limits: plainLimits({ sweep: 0, tier: 60_000, promote: 0, deploy: 1_000 }),
    },
    commands: processRunner({ environment: {} }),
  });
}

function app(lifetime: Lifetime): App {
  const checkout = path.join(folder, 'checkout');
  mkdirSync(checkout);
  writeFileSync(path.join(checkout, '.env.sample'), 'TYPE=thing\nDOMAIN=thing.example.com\n');
  writeFileSync(
    path.join(checkout, 'compose.yml'),
    `version: "3.8"
services:
  app:
    image: localhost/x:1
    deploy: {labels: ["coop-cloud.\${STACK_NAME}.version=1.0.0+1"]}
`,
  );
  return {
    recipe: 'thing',
    version: '1.0.0+1',
    commit: 'c'.repeat(40),
    checkout,
    scratch: path.join(folder, 'scratch'),
    domain: 'warm-thing.ci.example.org',
    stack: STACK,
    lifetime,
    run: 'sweep/thing',
    env: {},
    settings: plainSettings('thing'),
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(folder, 'images.json'),
    provenImages: null,
    evidence: folder,
  };
}

type Reconciled = ReconciledStack | null;

/** Everything that changes a stack, or what is kept of it; for a reconcile of that stack, or for anybody else. */
const PATHS: [what: string, change: (lifetime: Lifetime, reconciled?: Reconciled) => Promise<unknown>][] = [
  ['deploy', (lifetime, reconciled = null) => deploying({ reconciled }).deployer.deploy(app(lifetime))],
  [
    'undeploy',
    (lifetime, reconciled = null) => deploying({ reconciled }).deployer.undeploy({ stack: STACK, lifetime }),
  ],
  [
    'remove',
    (lifetime, reconciled = null) => deploying({ reconciled }).deployer.remove({ stack: STACK, lifetime }),
  ],
  [
    'trim',
    (lifetime, reconciled = null) =>
      deploying({ reconciled }).stacks.trim({ stack: STACK, lifetime }, { volumes: [], secrets: [] }),
  ],
  [
    'ensureVolume',
    (lifetime, reconciled = null) =>
      deploying({ reconciled }).stacks.ensureVolume({ stack: STACK, lifetime }, 'thing', DATA),
  ],
  [
    'discard',
    (lifetime, reconciled = null) =>
      createStackRemoval({
        swarm: openSwarm(access()),
        zone: ZONE,
        reconciled,
        report: () => undefined,
      }).discard({ stack: STACK, lifetime }, ['volume'], () => true),
  ],
];

describe.each(PATHS)('%s', (_what, change) => {
  test.each([
    ['a live service that is taken for a warm app', ['live'], 'warm', 'is a live service'],
    ['a live service that is taken for a cold app', ['live'], 'cold', 'is a live service'],
    ['a live service that is known for one', ['live'], 'live', 'is a live service'],
    ['what is called live, whatever stands there', ['warm'], 'live', 'is a live service'],
    ['what is live in part', ['cold', 'live'], 'cold', 'is a live service'],
    ['a warm app that is taken for a cold one', ['warm'], 'cold', 'says recipe-sweep.lifetime=warm'],
    ['a cold app that is taken for a warm one', ['cold'], 'warm', 'says recipe-sweep.lifetime=cold'],
    ['what is warm in part', ['cold', 'warm'], 'cold', 'says recipe-sweep.lifetime=warm'],
    ['a lifetime of a later version', ['eternal'], 'cold', 'says recipe-sweep.lifetime=eternal'],
    ['a lifetime that is spelt otherwise', ['Cold'], 'cold', 'says recipe-sweep.lifetime=Cold'],
    ['what does not say how long it lives', [null], 'cold', 'does not say how long it lives'],
    ['what does not say so in part', ['cold', null], 'cold', 'does not say how long it lives'],
  ] as const)('leaves alone %s', async (_whom, says, taken, why) => {
    labels = says.map((lifetime) => saying(lifetime));
    await expect(change(taken)).rejects.toMatchObject({
      type: 'NotOurs',
      message: expect.stringMatching(new RegExp(`${why}.*nothing of the stack is touched$`)),
    });
    expect(touched).toEqual([]);
  });

  test('leaves alone what is of another installation', async () => {
    labels = [saying('cold', 'other.example.org')];
    await expect(change('cold')).rejects.toMatchObject({ type: 'NotOurs' });
    expect(touched).toEqual([]);
  });

  /** What a service that was adopted consists of, once it was upgraded: ours, and what somebody made. */
  const ADOPTED = [saying('live'), { 'com.docker.stack.namespace': STACK }];

  test.each<[string, Lifetime, Reconciled, Record<string, string>[]]>([
    ['of another service', 'live', { stack: 'warm-other_ci_example_org', adopted: true }, [saying('live')]],
    ['that takes it for a warm app', 'warm', { stack: STACK, adopted: true }, [saying('live')]],
    ['that takes it for a cold app', 'cold', { stack: STACK, adopted: true }, [saying('live')]],
    ['of what nobody adopted', 'live', { stack: STACK, adopted: false }, ADOPTED],
    ['of another zone', 'live', { stack: STACK, adopted: true }, [saying('live', 'other.example.org')]],
    ['of a canonical', 'live', { stack: STACK, adopted: true }, [saying('warm')]],
  ])('leaves alone a live service for the reconcile %s', async (_whose, taken, reconciled, says) => {
    labels = says;
    await expect(change(taken, reconciled)).rejects.toMatchObject({ type: 'NotOurs' });
    expect(touched).toEqual([]);
  });

  test.each([
    ['that it deployed', { stack: STACK, adopted: false }, [saying('live')]],
    ['that it adopted', { stack: STACK, adopted: true }, [{ 'com.docker.stack.namespace': STACK }]],
    ['that it adopted and upgraded', { stack: STACK, adopted: true }, ADOPTED],
  ])('goes on for the reconcile of a live service %s', async (_which, reconciled, says) => {
    labels = says;
    await expect(change('live', reconciled)).rejects.toThrow();
    expect(touched).not.toEqual([]);
  });

  test('goes on where the stack is what it is taken for', async () => {
    labels = [saying('warm')];
    await expect(change('warm')).rejects.toThrow();
    expect(touched).not.toEqual([]);
  });
});

test('a volume is not restored into when it is of another lifetime, though nothing says whose stack it is of', async () => {
  labels = [];
  const Labels = { [LABEL.zone]: ZONE, [LABEL.lifetime]: 'live' };
  const inspect = async () => ({ Name: DATA, Mountpoint: '/data', Labels });
  const only = new Proxy(docker(), {
    get: (target, call: keyof Dockerode) =>
      call === 'getVolume' ? () => ({ inspect }) : (target[call] as unknown),
  });
  const { stacks } = deploying({ docker: only });
  await expect(stacks.ensureVolume({ stack: STACK, lifetime: 'warm' }, 'thing', DATA)).rejects.toMatchObject({
    type: 'NotOurs',
  });
});
