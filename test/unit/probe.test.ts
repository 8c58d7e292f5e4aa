import { beforeEach, describe, expect, it, vi } from 'vitest';
import type { Observation, TaskSeen } from '../../domain/convergence.ts';
import { ANY_ANSWER, type HttpProbe, type SocketProbe } from '../../domain/recipe-settings.ts';
import { createProber, httpService, questionFor, type Question } from '../../host/probe/prober.ts';
import type { Answer } from '../../host/probe/answer.ts';
import { askHttp } from '../../host/probe/http.ts';
import { askSocket } from '../../host/probe/socket.ts';
import type { Key } from '../../host/recipe-format/problem.ts';

/** Which question is put, and to whom. */

vi.mock('../../host/probe/http.ts', () => ({ askHttp: vi.fn<typeof askHttp>() }));
vi.mock('../../host/probe/socket.ts', () => ({ askSocket: vi.fn<typeof askSocket>() }));

const label = 'traefik.http.services.stack.loadbalancer.server.port';
const labelled = (name: string, port?: string, more: Record<string, string> = {}) => ({
  name,
  image: 'app:1',
  labels: new Map(Object.entries({ ...more, ...(port === undefined ? {} : { [label]: port }) })),
});

const SOCKET: SocketProbe = {
  protocol: 'tcp',
  port: 64738,
  service: 'voice',
  tls: true,
  send: null,
  expect: null,
};

describe('the service that speaks HTTP', () => {
  it.each([
    [
      'is the one with a port label',
      [labelled('app'), labelled('web', '80')],
      { service: 'web', port: 80, scheme: 'http' },
    ],
    [
      'is app when several have one',
      [labelled('web', '80'), labelled('app', '81')],
      { service: 'app', port: 81, scheme: 'http' },
    ],
    [
      'speaks TLS when its label says so',
      [labelled('app', '8443', { 'traefik.http.services.stack.loadbalancer.server.scheme': 'https' })],
      { service: 'app', port: 8443, scheme: 'https' },
    ],
    ['is none without a label', [labelled('app')], null],
    ['is none when the label is no port', [labelled('app', 'http')], null],
  ])('%s', (_, services, expected) => {
    expect(httpService(services)).toEqual(expected);
  });
});

describe('the question', () => {
  const at = (...path: Key[]) => ({ file: 'compose.yml', line: 3, path });
  const recipe = (...services: ReturnType<typeof labelled>[]) => ({ services, at });

  it('is any answer over HTTP when the recipe has no probe', () => {
    const question = questionFor(null, recipe(labelled('app', '80')), 'task');
    expect(question).toEqual({ service: 'app', port: 80, scheme: 'http', probe: ANY_ANSWER });
  });

  it('is none when it has none, and nothing speaks HTTP', () => {
    expect(questionFor(null, recipe(labelled('app')), 'proxy')).toBeNull();
  });

  it.each([
    ['a router of traefik', { 'traefik.http.routers.stack.rule': 'Host(`app.example.org`)' }],
    ['caddy-docker-proxy', { caddy: 'app.example.org', 'caddy.reverse_proxy': '{{upstreams 8080}}' }],
  ])('is for the proxy alone where %s has a route, and no label tells the port', (_, labels) => {
    const routed = recipe(labelled('db'), labelled('web', undefined, labels));
    expect(questionFor(null, routed, 'proxy')).toEqual({
      service: 'web',
      port: null,
      scheme: 'http',
      probe: ANY_ANSWER,
    });
    expect(questionFor(null, routed, 'task')).toBeNull();
    expect(() => questionFor(ANY_ANSWER, routed, 'task')).toThrow('none has the label');
  });

  it('is the recipe’s own', () => {
    const probe: HttpProbe = { ...ANY_ANSWER, path: '/status' };
    expect(questionFor(probe, recipe(labelled('app', '80')), 'task')).toMatchObject({ port: 80, probe });
    expect(questionFor(SOCKET, recipe(labelled('app', '80'), labelled('voice')), 'task')).toMatchObject({
      service: 'voice',
      port: 64738,
      probe: SOCKET,
    });
  });

  it('over HTTP is red for a release in which nothing speaks it', () => {
    expect(() => questionFor(ANY_ANSWER, recipe(labelled('app')), 'task')).toThrow(
      'compose.yml:3: services: its probe asks over HTTP, but none has the label traefik.http.services.<name>.loadbalancer.server.port',
    );
  });

  it('to a service is red for a release without it', () => {
    expect(() => questionFor(SOCKET, recipe(labelled('app')), 'task')).toThrow(
      'compose.yml:3: services: its probe asks voice on tcp port 64738, but there is no service voice',
    );
  });
});

const APP = { domain: 'app.example.org', stack: 'app_example_org' };
const HTTP: Question = { service: 'app', port: 8080, scheme: 'http', probe: ANY_ANSWER };
const VOICE: Question = { service: 'voice', port: 64738, scheme: 'http', probe: SOCKET };
const SERVES: Answer = {
  serves: true,
  what: 'GET https://app.example.org/: 200 "Somebody"',
  status: 200,
};
const SILENT: Answer = { serves: false, why: 'ECONNREFUSED', unreachable: false };

let answers: Record<string, Answer>;
let asked: string[];

beforeEach(() => {
  asked = [];
  answers = {};
  const answer = (to: string): Answer => {
    asked.push(to);
    return answers[to] ?? SILENT;
  };
  vi.mocked(askHttp).mockImplementation(async ({ origin, anyAnswer = false }) =>
    answer(anyAnswer ? `${origin} any` : origin),
  );
  vi.mocked(askSocket).mockImplementation(async ({ host, port }) => answer(`${host}:${port}`));
});

interface Host {
  /** Task IDs by the address of their container on docker_gwbridge. */
  addresses?: Record<string, string>;
  services?: string[];
  published?: number | null;
}

function prober(via: 'proxy' | 'task', { addresses = {}, services = [], published = null }: Host = {}) {
  return createProber({
    via,
    signal: new AbortController().signal,
    swarm: {
      services: async () => services.map((name) => ({ name, labels: {}, mounts: [] })),
      containers: async () =>
        Object.values(addresses).map((taskId) => ({
          id: `c-${taskId}`,
          service: '',
          taskId,
          imageId: '',
          runs: true,
        })),
      hostAddress: async (id) =>
        Object.entries(addresses).find(([, taskId]) => `c-${taskId}` === id)?.[0] ?? null,
      publishedPort: async () => published,
    },
  });
}

function seen(service: string, ...tasks: Partial<TaskSeen>[]): Observation {
  const task = (changes: Partial<TaskSeen>): TaskSeen => ({
    id: 't1',
    slot: '1',
    desired: 'running',
    state: 'running',
    since: 0,
    created: 0,
    error: null,
    exitCode: null,
    imageId: null,
    current: true,
    ...changes,
  });
  const rest = {
    labels: {},
    image: '',
    replicas: 1,
    memoryLimited: false,
    restartDelayMs: 0,
    updateMonitorMs: 0,
  };
  return {
    at: 0,
    services: [{ name: service, ...rest, restarts: 'any', update: null, tasks: tasks.map(task) }],
  };
}

const limits = { timeoutMs: 1_000, signal: new AbortController().signal };

describe('the task itself', () => {
  it('is asked at its own address, past those of the release before', async () => {
    answers['http://172.18.0.4:8080'] = SERVES;
    const host = { addresses: { '172.18.0.3': 'old', '172.18.0.4': 'new' } };
    const now = seen('app', { id: 'old', current: false }, { id: 'new' });
    expect(await prober('task', host).ask(APP, HTTP, now, limits)).toEqual(SERVES);
    expect(asked).toEqual(['http://172.18.0.4:8080']);
  });

  it('is asked over TCP at the container’s port', async () => {
    answers['172.18.0.3:64738'] = SERVES;
    const host = { addresses: { '172.18.0.3': 't1' } };
    expect(await prober('task', host).ask(APP, VOICE, seen('voice', {}), limits)).toEqual(SERVES);
  });

  it('without an address cannot be asked', async () => {
    const answer = await prober('task').ask(APP, HTTP, seen('app', {}), limits);
    expect(answer).toMatchObject({ why: 'the task of app has no address on docker_gwbridge' });
    expect(asked).toEqual([]);
  });
});

describe('through the proxy', () => {
  const domain = 'https://app.example.org';
  const task = 'http://172.18.0.3:8080 any';
  const host = { addresses: { '172.18.0.3': 't1' } };

  it('the domain answers, and the task speaks as well', async () => {
    answers = { [domain]: SERVES, [task]: SERVES };
    expect(await prober('proxy', host).ask(APP, HTTP, seen('app', {}), limits)).toEqual(SERVES);
    expect(asked.sort()).toEqual([task, domain]);
  });

  it('a neighbour that answers in place of a silent task does not fool anybody', async () => {
    answers = { [domain]: SERVES };
    expect(await prober('proxy', host).ask(APP, HTTP, seen('app', {}), limits)).toEqual({
      serves: false,
      unreachable: false,
      why: 'GET https://app.example.org/: 200 "Somebody"; but that may be another app\'s answer, since its own task gives none: ECONNREFUSED',
    });
  });

  it('a task that this host cannot reach is not asked', async () => {
    answers = { [domain]: SERVES };
    expect(await prober('proxy').ask(APP, HTTP, seen('app', {}), limits)).toEqual(SERVES);
  });

  it('without a port label the domain alone is asked', async () => {
    answers = { [domain]: SERVES };
    const question = { ...HTTP, port: null };
    expect(await prober('proxy', host).ask(APP, question, seen('app', {}), limits)).toEqual(SERVES);
    expect(asked).toEqual([domain]);
  });

  it.each([
    [500, null, false],
    [404, null, false],
    [401, [302, 401], true],
    [200, [302], true],
    [302, null, true],
  ])(
    'of a redirect the task answers too: %s where the probe accepts %j',
    async (status, accepted, serves) => {
      answers = {
        [domain]: { serves: true, what: 'GET https://app.example.org/: 302', status: 302 },
        [task]: { serves: true, what: `GET http://172.18.0.3:8080/: ${status}`, status },
      };
      const question = { ...HTTP, probe: { ...ANY_ANSWER, status: accepted } };
      expect(await prober('proxy', host).ask(APP, question, seen('app', {}), limits)).toMatchObject(
        serves
          ? { serves }
          : {
              serves,
              why: `GET https://app.example.org/: 302; but a redirect may be the proxy's own, and its task says: GET http://172.18.0.3:8080/: ${status}`,
            },
      );
    },
  );

  it('the domain’s own refusal is what counts', async () => {
    answers = { [domain]: { serves: false, why: '502', unreachable: true }, [task]: SERVES };
    const answer = await prober('proxy', host).ask(APP, HTTP, seen('app', {}), limits);
    expect(answer).toEqual({ serves: false, why: '502', unreachable: true });
  });

  it('a TCP service is asked at its published port, and its task at the container’s', async () => {
    answers = { 'app.example.org:4000': SERVES, '172.18.0.3:64738': SERVES };
    const published = { ...host, published: 4000 };
    expect(await prober('proxy', published).ask(APP, VOICE, seen('voice', {}), limits)).toEqual(SERVES);
    expect(asked.sort()).toEqual(['172.18.0.3:64738', 'app.example.org:4000']);
    delete answers['172.18.0.3:64738'];
    expect(await prober('proxy', published).ask(APP, VOICE, seen('voice', {}), limits)).toMatchObject({
      serves: false,
      why: expect.stringContaining('another app'),
    });
  });

  it('a port that is not published cannot be asked', async () => {
    expect(await prober('proxy', host).ask(APP, VOICE, seen('voice', {}), limits)).toMatchObject({
      serves: false,
      why: 'voice does not publish its tcp port 64738, so nobody reaches it at app.example.org',
    });
  });
});

describe('before anything of the app runs', () => {
  it('something that answers at its domain is a Fault, and no verdict', async () => {
    answers['https://app.example.org'] = SERVES;
    await expect(prober('proxy').checkFree(APP, HTTP)).rejects.toMatchObject({
      type: 'DomainTaken',
      message:
        'something answers at app.example.org although nothing of app_example_org runs, so no answer there would be the app\'s: GET https://app.example.org/: 200 "Somebody"',
    });
  });

  it('no way to the proxy is a Fault', async () => {
    answers['https://app.example.org'] = {
      serves: false,
      why: 'the name does not resolve',
      unreachable: true,
    };
    await expect(prober('proxy').checkFree(APP, HTTP)).rejects.toMatchObject({
      type: 'Network',
      message: 'the name does not resolve',
    });
  });

  it('a domain at which nothing answers as it should is free', async () => {
    await prober('proxy').checkFree(APP, HTTP);
    expect(asked).toEqual(['https://app.example.org']);
  });

  it('nobody is asked once something of it runs, nor about a task’s own address or a port', async () => {
    answers['https://app.example.org'] = SERVES;
    await prober('proxy', { services: ['app'] }).checkFree(APP, HTTP);
    await prober('task').checkFree(APP, HTTP);
    await prober('proxy').checkFree(APP, VOICE);
    expect(asked).toEqual([]);
  });
});
