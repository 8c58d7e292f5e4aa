import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { Fault, type FaultType } from '../../domain/fault.ts';
import { ANY_ANSWER, type Probe, type SocketProbe } from '../../domain/recipe-settings.ts';
import { stackName } from '../../domain/names.ts';
import type { Deployer, Deployment } from '../../host/deploy/deployer.ts';
import type { Stacks } from '../../host/deploy/stacks.ts';
import type { App } from '../../domain/app.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { oomKills } from '../../host/engine/platform-trouble.ts';
import { processRunner } from '../../host/machine/process.ts';
import { BROWSERS } from '../../host/evidence/screenshot.ts';
import { deployingOnSwarm, type Deploying } from '../../host/deploy/deploying.ts';
import { selfSigned } from '../fixtures/certificates.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { ensureProxyNetwork, importBusybox, ofZone, withLabel } from './engine.ts';
import { errorBody, packImage, startRegistry } from './registry.ts';
import { plainLimits } from '../fixtures/plain-config.ts';

/**
 * The deployer on the swarm of this machine. Needs an engine that is a swarm manager and a static busybox;
 * everything it makes carries a zone of its own and is gone at the end.
 */

const hex = randomBytes(3).toString('hex');
const zone = `t${hex}.test`;
const socket = '/var/run/docker.sock';
const docker = new Dockerode({ socketPath: socket });
const scratch = mkdtempSync(path.join(tmpdir(), 'swarm-deployer-'));
const image = (version: number): string => `localhost/recipe-sweep/busybox:${hex}-${version}`;
const hasBrowser = BROWSERS.some((name) =>
  (process.env['PATH'] ?? '').split(':').some((folder) => existsSync(path.join(folder, name))),
);
let removeProxy: (() => Promise<void>) | undefined;
let guarded = 0;

const config = {
  zone,
  state: scratch,
  docker: { socket, pull: 'missing' as const },
  probe: { via: 'task' as const },
  limits: plainLimits({ sweep: 0, promote: 0, deploy: 40_000 }),
};
const environment = declaredEnvironment({
  path: process.env['PATH'] ?? '',
  state: scratch,
  docker: config.docker,
});

interface Changes {
  pull?: 'always' | 'missing';
  signal?: AbortSignal;
  guard?: () => Promise<void>;
  docker?: Dockerode;
  mark?: string;
  via?: 'proxy' | 'task';
  headroom?: number;
  deploy?: number;
  stable?: number;
  until?: number;
}

function deploying(changes: Changes = {}): Deploying {
  const signal = changes.signal ?? new AbortController().signal;
  return deployingOnSwarm({
    config: {
      ...config,
      limits: {
        ...config.limits,
        headroom: changes.headroom ?? 0,
        deploy: changes.deploy ?? config.limits.deploy,
        stable: changes.stable ?? config.limits.stable,
      },
      docker: { ...config.docker, pull: changes.pull ?? 'missing' },
      probe: { via: changes.via ?? 'task' },
    },
    commands: processRunner({ environment, signal }),
    docker: changes.docker ?? docker,
    signal,
    guard:
      changes.guard ??
      (async () => {
        guarded++;
      }),
    commandMark: changes.mark ?? '',
    report: () => undefined,
    ...(changes.until === undefined ? {} : { until: changes.until }),
  });
}

const deployer = (changes: Changes = {}): Deployer => deploying(changes).deployer;
const stacks = (changes: Changes = {}): Stacks => deploying(changes).stacks;

const SERVE = 'echo ${GREETING:-hello} > /www/index.html; exec httpd -f -p 8080 -h /www';

interface Written {
  version?: string;
  image?: string;
  /** What the app's shell runs. */
  command?: string;
  onFailure?: 'rollback' | 'pause';
  /** Restart delay and update monitor. */
  seconds?: number;
  timeout?: number;
  /** A router in place of the port label. */
  routed?: true;
  /** Further services, as YAML lines. */
  services?: string[];
  /** Lines at the top. */
  more?: string[];
}

let folders = 0;

function recipe(written: Written): string {
  const folder = path.join(scratch, `recipe-${++folders}`);
  mkdirSync(folder);
  const command = (written.command ?? SERVE).replaceAll("'", "''");
  writeFileSync(
    path.join(folder, 'compose.yml'),
    `version: "3.8"
services:
  app:
    image: ${written.image ?? image(1)}
    command: ['/bin/sh', '-c', '${command}']
    networks: [proxy, internal]
    volumes: ['data:/data']
    configs: [{source: greeting, target: /greeting, mode: 0444}]
    secrets: [key]
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      update_config: {failure_action: ${written.onFailure ?? 'rollback'}, order: start-first, monitor: ${written.seconds ?? 1}s}
      restart_policy: {delay: ${written.seconds ?? 1}s}
      labels:
        - "${written.routed ? 'traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)' : 'traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080'}"
        - "coop-cloud.\${STACK_NAME}.version=${written.version ?? '1.0.0+1.0'}"
        - "coop-cloud.\${STACK_NAME}.timeout=${written.timeout ?? 40}"
${(written.services ?? []).map((line) => `  ${line}\n`).join('')}
volumes: {data: }
networks: {proxy: {external: true}, internal: }
configs:
  greeting: {name: "\${STACK_NAME}_greeting_\${GREETING_VERSION}", file: greeting.txt}
secrets:
  key: {external: true, name: "\${STACK_NAME}_key_\${SECRET_KEY_VERSION}"}
${(written.more ?? []).join('\n')}
`,
  );
  writeFileSync(
    path.join(folder, '.env.sample'),
    'TYPE=thing\nDOMAIN=thing.example.com\nSECRET_KEY_VERSION=v1 # length=20\n',
  );
  writeFileSync(path.join(folder, 'abra.sh'), 'export GREETING_VERSION=v1\n');
  writeFileSync(path.join(folder, 'greeting.txt'), 'good day\n');
  return folder;
}

function app(name: string, written: Written = {}, changes: Partial<App> = {}): App {
  const domain = `${name}.${zone}`;
  const evidence = path.join(scratch, `evidence-${++folders}`);
  mkdirSync(evidence);
  return {
    recipe: 'thing',
    version: written.version ?? '1.0.0+1.0',
    commit: 'c'.repeat(40),
    checkout: recipe(written),
    scratch: path.join(scratch, 'private'),
    domain,
    stack: stackName(domain),
    lifetime: 'cold',
    run: `e2e/${name}`,
    env: {},
    settings: { ...plainSettings('thing'), probe: { ...ANY_ANSWER, contains: 'hello' } },
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(evidence, 'images.json'),
    provenImages: null,
    evidence,
    ...changes,
  };
}

function red(deployment: Deployment): { reason: string; evidence: string } {
  if (deployment.ok) throw new Error('expected a red deployment');
  return deployment;
}

const left = (stack: string): Promise<string[]> => withLabel(docker, `com.docker.stack.namespace=${stack}`);

beforeAll(async () => {
  for (const version of [1, 2]) {
    importBusybox(image(version), ['sh', 'httpd', 'sleep', 'cat', 'touch', 'test', 'echo'], (root) => {
      mkdirSync(path.join(root, 'www'));
      writeFileSync(path.join(root, 'version'), `${version}\n`);
    });
  }
  removeProxy = await ensureProxyNetwork(docker);
}, 60_000);

afterEach(async () => {
  for (const { stack, lifetime } of await stacks().owned()) {
    if (lifetime !== null) await deployer().remove({ stack, lifetime });
  }
}, 120_000);

afterAll(async () => {
  await removeProxy?.();
  for (const version of [1, 2]) await docker.getImage(image(version)).remove({ force: true });
  rmSync(scratch, { recursive: true, force: true });
  expect(await ofZone(docker, zone)).toEqual([]);
}, 60_000);

async function tasksOf(stack: string, service: string): Promise<string[]> {
  const filters = JSON.stringify({ service: [`${stack}_${service}`], 'desired-state': ['running'] });
  const tasks = (await docker.listTasks({ filters })) as { ID: string }[];
  return tasks.map(({ ID }) => ID);
}

const DB = [
  'db:',
  `  image: ${image(1)}`,
  "  command: ['/bin/sleep', '1000']",
  '  stop_grace_period: 1s',
  '  networks: [internal]',
  '  deploy: {endpoint_mode: dnsrr, update_config: {monitor: 1s}, restart_policy: {delay: 1s}}',
];

const leaving = (condition: string): string[] => [
  'setup:',
  `  image: ${image(1)}`,
  "  command: ['/bin/sleep', '1']",
  `  deploy: {restart_policy: {condition: ${condition}, delay: 1s}}`,
];

describe('a deployment', () => {
  it('is green when the app serves, and keeps the finished compose file but no secret', async () => {
    const one = app('green');
    const deployment = await deployer().deploy(one);
    expect(deployment).toEqual({
      ok: true,
      images: { app: { image: image(1), digest: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) } },
      asked: true,
    });
    const compose = readFileSync(path.join(one.evidence, 'deployed-1-compose.yml'), 'utf8');
    expect(compose).toContain(`coop-cloud.${one.stack}.version=1.0.0+1.0`);
    expect(guarded).toBeGreaterThan(0);
    expect(await stacks().secrets(one.stack)).toEqual([`${one.stack}_key_v1`]);
    expect(await stacks().owned()).toEqual([
      { stack: one.stack, recipe: 'thing', lifetime: 'cold', running: true },
    ]);
  }, 60_000);

  it('leaves evidence when it is green: logs without secrets, events, images, and a picture of the page', async () => {
    const since = new Date();
    const one = app('evidence', { command: `cat /run/secrets/key; echo; echo is my key; ${SERVE}` });
    const ours = deploying();
    expect(await ours.deployer.deploy(one)).toMatchObject({ ok: true });
    // It was taken beside the watching, not after it.
    expect(readdirSync(one.evidence).includes('screenshot.png')).toBe(hasBrowser);
    await ours.evidence.keepEvidence(one, since);
    const kept = (name: string): string => readFileSync(path.join(one.evidence, name), 'utf8');
    expect(kept('app.log')).toMatch(/Z \*\*\*\n.* is my key\n/);
    const { Id: id } = await docker.getImage(image(1)).inspect();
    expect(JSON.parse(kept('images.json'))).toEqual({ app: { image: image(1), id, digests: [] } });
    const events = kept('events.jsonl')
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; action: string; name: string });
    expect(events).toContainEqual(
      expect.objectContaining({ type: 'service', action: 'create', name: `${one.stack}_app` }),
    );
    expect(events.filter(({ type, action }) => type === 'container' && action === 'start')).toHaveLength(1);
    expect(events.filter(({ name }) => !name.startsWith(one.stack))).toEqual([]);
    if (hasBrowser) {
      const png = readFileSync(path.join(one.evidence, 'screenshot.png'));
      expect(png.subarray(1, 4).toString()).toBe('PNG');
      expect(readdirSync(one.evidence)).not.toContain('missing-evidence.txt');
    } else expect(kept('missing-evidence.txt')).toMatch(/^screenshot\.png: none of chromium/);
  }, 90_000);

  it('takes an app to a new release in place: data stays, untouched services keep running', async () => {
    const first = app('upgrade', { services: DB, command: `echo kept > /data/kept; ${SERVE}` });
    expect(await deployer().deploy(first)).toMatchObject({ ok: true });
    const db = await tasksOf(first.stack, 'db');
    const second = app(
      'upgrade',
      {
        version: '1.1.0+2.0',
        image: image(2),
        services: DB,
        command:
          `export GREETING="hello $(cat /version) $(cat /data/kept)"; ${SERVE.replaceAll('$', '$$')}`.replaceAll(
            /\$(?=[({]|G)/g,
            '$$$$',
          ),
      },
      {
        settings: {
          ...plainSettings('thing'),
          probe: { ...ANY_ANSWER, status: [200], contains: 'hello 2 kept' },
        },
      },
    );
    expect(await deployer().deploy(second)).toMatchObject({ ok: true, images: { app: { image: image(2) } } });
    expect(await tasksOf(first.stack, 'db')).toEqual(db);
  }, 60_000);

  it('does not wait for what was seen before: that an app which answers stays up', async () => {
    const stable = 600_000;
    expect(await deployer({ stable }).deploy(app('again'), 'restart', 'answers')).toMatchObject({
      ok: true,
      asked: true,
    });
  }, 60_000);

  it('has to stay up all the same where nobody is to be asked', async () => {
    const settings = plainSettings('thing');
    const loop = app('mute', { routed: true, command: 'sleep 3; exit 1', timeout: 12 }, { settings });
    const deployed = await deployer({ stable: 5_000 }).deploy(loop, 'restart', 'answers');
    expect(red(deployed).reason).toContain('not up at the deadline');
  }, 60_000);

  it('waits for an app that crashes until its data is there', async () => {
    const command = `if [ ! -e /data/ready ]; then touch /data/ready; exit 1; fi; ${SERVE}`;
    expect(await deployer().deploy(app('late', { command }))).toMatchObject({ ok: true });
  }, 60_000);

  it('forgives an update that the swarm paused over one crash, once all runs and stays up', async () => {
    expect(await deployer().deploy(app('flicker', { onFailure: 'pause' }))).toMatchObject({ ok: true });
    // It crashes once it was seen running: only then does the swarm take away the task of the release before.
    const command = `if [ ! -e /data/again ]; then touch /data/again; sleep 1; exit 1; fi; ${SERVE}`;
    const next = app('flicker', {
      version: '1.0.1+1.0',
      onFailure: 'pause',
      command,
      seconds: 5,
      timeout: 60,
    });
    expect(await deployer().deploy(next)).toEqual({ ok: true, images: expect.anything(), asked: true });
    const service = (
      await docker.listServices({ filters: JSON.stringify({ name: [`${next.stack}_app`] }) })
    )[0];
    expect(service?.UpdateStatus?.State).toBe('paused');
  }, 120_000);

  it('counts a one-shot service as done once it has left with 0', async () => {
    expect(await deployer().deploy(app('oneshot', { services: leaving('none') }))).toMatchObject({
      ok: true,
    });
  }, 60_000);

  it('counts one that is started again when it fails as done only where recipe.yml says so', async () => {
    const settings = { ...plainSettings('thing'), probe: { ...ANY_ANSWER, contains: 'hello' } };
    const called = { settings: { ...settings, oneShot: ['setup'] } };
    const services = leaving('on-failure');
    expect(await deployer().deploy(app('called', { services }, called))).toMatchObject({ ok: true });
    expect(red(await deployer().deploy(app('gone', { services }))).reason).toMatch(/^setup: it left with 0/);
  }, 60_000);
});

describe('what is in flight', () => {
  it('is waited for, and a container that went is told', async () => {
    const command = `trap 'exit 1' TERM; echo hello > /www/index.html; httpd -p 8080 -h /www; sleep 1000 & wait`;
    const one = app('restless', { command, services: DB });
    expect(await deployer().deploy(one)).toMatchObject({ ok: true });
    const before = await stacks().atRest(one);
    if (!before.ok) throw new Error(before.reason);
    expect(await stacks().goneTasks(one.stack, before.tasks)).toEqual([]);
    // It may take the command with it.
    await stacks()
      .exec(one.stack, 'app', 'kill -TERM 1', 10_000)
      .catch(() => undefined);
    expect(await stacks().goneTasks(one.stack, before.tasks)).toEqual(['app']);
    const after = await stacks().atRest(one);
    expect(after).toEqual({ ok: true, tasks: { ...before.tasks, app: expect.stringMatching(/^\w+$/) } });
    expect(after).not.toEqual(before);
  }, 60_000);

  it('is said when it does not come to rest', async () => {
    const one = app('never', { command: 'exit 3', timeout: 5 });
    expect(await deployer().deploy(one)).toMatchObject({ ok: false });
    expect(await stacks({ deploy: 3_000 }).atRest(one)).toMatchObject({
      ok: false,
      reason: expect.stringMatching(/^app (0\/1|has just (started|ended)) \(task failed: .*exit \(3\)/),
    });
  }, 60_000);
});

describe('a red deployment', () => {
  it('is one that does not serve in what is left of its step', async () => {
    const mute = app('mute', { command: 'exec httpd -f -p 8080 -h /', timeout: 600 });
    // A share of it is no whole number of milliseconds.
    const { reason } = red(await deployer({ until: Date.now() + 10_001 }).deploy(mute));
    expect(reason).toContain('app does not answer as it should at the deadline: GET ');
  }, 60_000);

  it('is one that the swarm silently rolled back', async () => {
    expect(await deployer().deploy(app('rollback'))).toMatchObject({ ok: true });
    const bad = app('rollback', {
      version: '1.0.1+1.0',
      image: image(2),
      command: 'echo broken >&2; exit 3',
    });
    const { reason, evidence } = red(await deployer().deploy(bad));
    expect(reason).toMatch(/^app: update rollback_|rolled it back/);
    expect(path.dirname(evidence)).toBe(bad.evidence);
  }, 60_000);

  it('is one whose update the swarm paused, and that never runs', async () => {
    expect(await deployer().deploy(app('paused', { onFailure: 'pause' }))).toMatchObject({ ok: true });
    const bad = app('paused', { version: '1.0.1+1.0', onFailure: 'pause', command: 'exit 3', timeout: 10 });
    // Whether the slot was taken up before the swarm gave up is its own race.
    expect(red(await deployer().deploy(bad)).reason).toMatch(
      /^(not up at the deadline: app .*; )?app: .*exit \(3\)/,
    );
  }, 60_000);

  it('is none that wants more memory than this host has; a constraint is its own', async () => {
    const wanting = (deploy: string): string[] => ['big:', `  image: ${image(1)}`, `  deploy: ${deploy}`];
    const big = app('big', { services: wanting('{resources: {reservations: {memory: 900G}}}'), timeout: 8 });
    await expect(deployer().deploy(big)).rejects.toMatchObject({
      type: 'Preflight',
      message: expect.stringContaining('insufficient resources'),
    });
    const services = wanting('{placement: {constraints: ["node.labels.moon == yes"]}}');
    const picky = app('picky', { services, timeout: 8 });
    expect(red(await deployer().deploy(picky)).reason).toContain('scheduling constraints not satisfied');
  }, 60_000);

  it('is one that uses up the memory that its own compose file allows it', async () => {
    const services = [
      'greedy:',
      `  image: ${image(1)}`,
      "  command: ['/bin/sh', '-c', 'x=aaaaaaaa; while true; do x=$$x$$x; done']",
      '  deploy: {resources: {limits: {memory: 16M}}, restart_policy: {delay: 1s}}',
    ];
    const killed = await oomKills();
    const greedy = app('greedy', { services, timeout: 8 });
    expect(red(await deployer().deploy(greedy)).reason).toMatch(/greedy: task failed: .*\(137\)/);
    expect(await oomKills()).not.toBe(killed);
  }, 60_000);

  it('is one that flaps, although it mostly looks up', async () => {
    const flapping = app('flapping', {
      command: 'httpd -p 8080 -h /www; echo hello > /www/index.html; sleep 7; exit 1',
      seconds: 5,
      timeout: 20,
    });
    const { reason } = red(await deployer().deploy(flapping));
    expect(reason).toContain('app: task failed: task: non-zero exit (1)');
  }, 90_000);

  it('ends a crash loop at the deadline of its own label, and names the log', async () => {
    const began = Date.now();
    const { reason, evidence } = red(
      await deployer().deploy(app('crash', { command: 'echo no database >&2; exit 4', timeout: 6 })),
    );
    expect(Date.now() - began).toBeLessThan(9_000);
    expect(reason).toMatch(/at the deadline: .*app: task failed: task: non-zero exit \(4\)$/);
    expect(path.basename(evidence)).toBe('app.log');
    expect(readFileSync(evidence, 'utf8')).toContain('no database');
  }, 60_000);

  it('is one that runs but does not answer', async () => {
    const { reason } = red(
      await deployer().deploy(
        app(
          'mute',
          { timeout: 15 },
          {
            env: { GREETING: 'x' },
            settings: { ...plainSettings('thing'), probe: { ...ANY_ANSWER, path: '/none' } },
          },
        ),
      ),
    );
    expect(reason).toMatch(/^app does not answer as it should at the deadline: GET http.*\/none .*404/);
  }, 60_000);

  it('is one whose compose file says another version than the tag, before anything is made', async () => {
    const wrong = app('wrong', { version: '1.0.0+1.0' }, { version: '2.0.0+2.0' });
    expect(red(await deployer().deploy(wrong)).reason).toBe(
      'compose.yml:15: services.app.deploy.labels: compose says version 1.0.0+1.0, the tag says 2.0.0+2.0',
    );
    expect(await left(wrong.stack)).toEqual([]);
  });

  it('is one that docker itself refuses', async () => {
    const refused = app('refused', { more: ['volumes_: {}'] });
    expect(red(await deployer().deploy(refused)).reason).toMatch(
      /^docker refuses the compose files: .*volumes_/,
    );
  }, 60_000);
});

/** What the fixture recipes run as well; it has a perl. */
const NGINX = 'localhost/recipe-sweep/nginx:1.26';
const ECHO = 'exec busybox nc -ll -p 7000 -e cat';

function asking(name: string, probe: Probe | null, written: Written): App {
  return app(name, written, { settings: { ...plainSettings('thing'), probe } });
}

describe('an app that does not speak HTTP', () => {
  const probe: SocketProbe = {
    protocol: 'tcp',
    service: 'app',
    port: 7000,
    tls: false,
    send: '68690a',
    expect: '^68690a$',
  };

  it('is green when it answers over TCP as its recipe says, and red when it does not', async () => {
    expect(await deployer().deploy(asking('tcp', probe, { command: ECHO }))).toMatchObject({ ok: true });
    const other = asking('tcp', { ...probe, expect: '^ff' }, { command: ECHO, timeout: 12 });
    expect(red(await deployer().deploy(other)).reason).toMatch(
      /^app does not answer as it should at the deadline: tcp 172\S+ port 7000: no answer within \d+ ms, but 68690a, not \/\^ff\//,
    );
  }, 60_000);

  it('is green when it answers over UDP as its recipe says', async () => {
    const server = [
      '$$s = IO::Socket::INET->new(LocalPort => 7000, Proto => "udp");',
      'while ($$s->recv($$heard, 99)) { $$s->send("\\x01$$heard") }',
    ];
    const command = `exec perl -MIO::Socket::INET -e '${server.join(' ')}'`;
    const udp: SocketProbe = { ...probe, protocol: 'udp', expect: '^0168690a$' };
    expect(await deployer().deploy(asking('udp', udp, { image: NGINX, command }))).toMatchObject({
      ok: true,
    });
  }, 60_000);
});

describe('an app behind a proxy', () => {
  const name = `front-${hex}`;
  const labels = { 'recipe-sweep.test': name };
  let front: Dockerode.Service;
  let container = '';
  const real = dns.lookup;

  /** An nginx that finds apps by their names on the shared network, as traefik would by their labels. */
  const site = `
map $host $app { "~^(?<name>[a-z]+)[.]${zone}$" "\${name}_${zone.replace('.', '_')}_app"; }
resolver 127.0.0.11 valid=1s ipv6=off;
server {
  listen 443 ssl default_server;
  ssl_certificate /etc/nginx/front.crt;
  ssl_certificate_key /etc/nginx/front.key;
  location / {
    if (-f /tmp/$host) { return 200 "hello from a neighbour"; }
    if (-f /tmp/login-$host) { return 302 https://login.example.org/; }
    proxy_pass http://$app:8080;
    proxy_set_header Host $host;
    proxy_set_header X-Forwarded-Proto https;
    proxy_connect_timeout 2s;
  }
}`;

  /** Has the proxy answer in the place of the app, or send visitors to a login first. */
  async function lieFor(domain: string, prefix: 'login-' | '' = ''): Promise<void> {
    const exec = await docker.getContainer(container).exec({ Cmd: ['touch', `/tmp/${prefix}${domain}`] });
    const output = await exec.start({});
    output.resume();
    await once(output, 'end');
  }

  beforeAll(async () => {
    const { key, cert } = selfSigned(`*.${zone}`);
    const files = Object.entries({ 'front.key': key, 'front.crt': cert, 'sites-enabled/front': site });
    const write = files.map(
      ([file, text]) => `echo ${Buffer.from(text).toString('base64')} | base64 -d > /etc/nginx/${file}`,
    );
    front = await docker.createService({
      Name: name,
      Labels: labels,
      EndpointSpec: { Mode: 'dnsrr' },
      TaskTemplate: {
        Networks: [{ Target: 'proxy' }],
        ContainerSpec: {
          Image: NGINX,
          Labels: labels,
          Command: ['/bin/sh', '-c', [...write, "exec nginx -g 'daemon off;'"].join(' && ')],
          StopGracePeriod: 1e9,
        },
      },
    });
    const address = await vi.waitUntil(
      async () => {
        const filters = JSON.stringify({ label: [`recipe-sweep.test=${name}`], status: ['running'] });
        container = (await docker.listContainers({ filters }))[0]?.Id ?? '';
        const bridge = (await docker.getNetwork('docker_gwbridge').inspect()) as {
          Containers: Record<string, { IPv4Address: string }>;
        };
        return bridge.Containers[container]?.IPv4Address.split('/')[0];
      },
      { timeout: 30_000, interval: 200 },
    );
    await vi.waitUntil(
      async () => {
        const connection = connect(443, address);
        const open = await once(connection, 'connect').then(
          () => true,
          () => false,
        );
        connection.destroy();
        return open;
      },
      { timeout: 30_000, interval: 200 },
    );
    // The zone's DNS record, which leads to the proxy; `voice` publishes its port on this host itself.
    const lookup = (host: string, options: dns.LookupOptions, callback: (...given: unknown[]) => void) => {
      if (!host.endsWith(`.${zone}`) || host.startsWith('nowhere.')) return real(host, options, callback);
      const found = { address: host.startsWith('voice.') ? '127.0.0.1' : address, family: 4 };
      if (options.all) callback(null, [found]);
      else callback(null, found.address, found.family);
    };
    vi.spyOn(dns, 'lookup').mockImplementation(lookup as typeof dns.lookup);
  }, 60_000);

  afterAll(async () => {
    vi.restoreAllMocks();
    await front.remove();
    const filters = JSON.stringify({ label: [`recipe-sweep.test=${name}`] });
    await vi.waitUntil(async () => (await docker.listContainers({ all: true, filters })).length === 0, {
      timeout: 30_000,
      interval: 200,
    });
  }, 60_000);

  it('is green when it answers at its domain, where redirects are followed', async () => {
    const command = `echo hello > /www/index.html; mkdir /www/sub; echo deep > /www/sub/index.html; exec httpd -f -p 8080 -h /www`;
    // Without a slash httpd redirects to itself.
    const probe: Probe = { ...ANY_ANSWER, path: '/sub', redirects: 'follow', contains: 'deep' };
    const one = asking('follow', probe, { command: command.replace('mkdir', 'busybox mkdir') });
    expect(await deployer({ via: 'proxy' }).deploy(one)).toMatchObject({ ok: true });
  }, 60_000);

  it("is red when all that comes is the proxy's own page", async () => {
    const probe: Probe = { ...ANY_ANSWER, status: [200, 502] };
    const one = asking('silent', probe, { command: 'exec sleep 1000', timeout: 12 });
    expect(red(await deployer({ via: 'proxy' }).deploy(one)).reason).toContain("502, the proxy's own page");
  }, 60_000);

  it('is asked at its domain by its route, where no label tells the port', async () => {
    const deploy = (one: App): Promise<Deployment> => deployer({ via: 'proxy' }).deploy(one);
    expect(await deploy(app('routed', { routed: true }))).toMatchObject({ ok: true, asked: true });
    const silent = asking('unheard', null, { routed: true, command: 'exec sleep 1000', timeout: 8 });
    expect(red(await deploy(silent)).reason).toContain("502, the proxy's own page");
  }, 60_000);

  it("is not taken for up by the proxy's own redirect to a login", async () => {
    const deploying = async (one: App): Promise<Deployment> => {
      const deployed = deployer({ via: 'proxy' }).deploy(one);
      await vi.waitUntil(async () => (await left(one.stack)).some((thing) => thing.startsWith('service')), {
        timeout: 30_000,
        interval: 50,
      });
      await lieFor(one.domain, 'login-');
      return deployed;
    };
    const empty = { command: 'exec httpd -f -p 8080 -h /www', timeout: 8 };
    expect(red(await deploying(asking('locked', null, empty))).reason).toMatch(
      /: 302 "302 Found"; but a redirect may be the proxy's own, and its task says: GET http:\S+ .*: 404/,
    );
    expect(await deploying(asking('unlocked', null, {}))).toMatchObject({ ok: true });
  }, 90_000);

  it('is no verdict when something answers at its domain already', async () => {
    const one = app('taken');
    await lieFor(one.domain);
    await expect(deployer({ via: 'proxy' }).deploy(one)).rejects.toMatchObject({
      type: 'DomainTaken',
      message: expect.stringContaining(
        `something answers at ${one.domain} although nothing of ${one.stack} runs`,
      ),
    });
    expect(await left(one.stack)).toEqual([]);
  }, 60_000);

  it('is red when a neighbour answers in its place', async () => {
    const one = app('mute', { command: 'exec sleep 1000', timeout: 12 });
    const deploying = deployer({ via: 'proxy' }).deploy(one);
    await vi.waitUntil(async () => (await left(one.stack)).some((thing) => thing.startsWith('service')), {
      timeout: 30_000,
      interval: 100,
    });
    await lieFor(one.domain);
    expect(red(await deploying).reason).toMatch(
      /200; but that may be another app's answer, since its own task gives none: GET http:\/\/172\S+:8080\/ .*ECONNREFUSED/,
    );
  }, 60_000);

  it('is red when its certificate is to be trusted and is not', async () => {
    const one = asking('cert', { ...ANY_ANSWER, certificate: 'trusted' }, { timeout: 12 });
    expect(red(await deployer({ via: 'proxy' }).deploy(one)).reason).toContain(
      'its certificate is not to be trusted: it is signed by itself (for *.',
    );
  }, 60_000);

  it('is no verdict when its name does not resolve', async () => {
    const one = app('nowhere');
    await expect(deployer({ via: 'proxy' }).deploy(one)).rejects.toMatchObject({
      type: 'Network',
      message: expect.stringContaining(`the name ${one.domain} does not resolve`),
    });
  }, 60_000);

  it('is asked over TCP at the port that it publishes', async () => {
    const port = 20_000 + (parseInt(hex, 16) % 10_000);
    const probe: SocketProbe = {
      protocol: 'tcp',
      service: 'voice',
      port: 7000,
      tls: false,
      send: '68690a',
      expect: '^68690a$',
    };
    const services = (published: string[]): string[] => [
      'voice:',
      `  image: ${image(1)}`,
      `  command: ['/bin/sh', '-c', '${ECHO}']`,
      '  stop_grace_period: 1s',
      '  networks: [internal]',
      ...published,
      '  deploy: {endpoint_mode: dnsrr, update_config: {monitor: 1s}, restart_policy: {delay: 1s}}',
    ];
    const ports = [`  ports: [{target: 7000, published: ${port}, protocol: tcp, mode: host}]`];
    const one = asking('voice', probe, { services: services(ports) });
    expect(await deployer({ via: 'proxy' }).deploy(one)).toMatchObject({ ok: true });
    const two = asking('voice', probe, { services: services([]), timeout: 15 });
    expect(red(await deployer({ via: 'proxy' }).deploy(two)).reason).toContain(
      'voice does not publish its tcp port 7000, so nobody reaches it at voice.',
    );
  }, 90_000);
});

describe('an image', () => {
  it.each<{ what: string; status: number; code: string; message: string; fault: FaultType | null }>([
    {
      what: "that the registry does not have is the package's fault",
      status: 404,
      code: 'MANIFEST_UNKNOWN',
      message: 'manifest unknown',
      fault: null,
    },
    {
      what: 'that a failing registry cannot give is a Fault',
      status: 503,
      code: 'UNAVAILABLE',
      message: 'try later',
      fault: 'Registry',
    },
    {
      what: 'that a registry gives too many people is a Fault',
      status: 429,
      code: 'TOOMANYREQUESTS',
      message: 'pull rate limit',
      fault: 'Registry',
    },
  ])(
    '$what',
    async ({ status, code, message, fault }) => {
      const registry = await startRegistry(() => ({ status, body: errorBody(code, message) }));
      try {
        const wanted = `${registry.host}/thing/app:1`;
        const deployment = deployer().deploy(app('image', { image: wanted }));
        if (fault === null) {
          expect(red(await deployment).reason).toContain(`image ${wanted} cannot be pulled: `);
        } else {
          await expect(deployment).rejects.toMatchObject({ type: fault });
        }
      } finally {
        registry.close();
      }
    },
    60_000,
  );

  it('is deployed by its digest, so that a tag that moved is an update, but within one run it is one image', async () => {
    const packed = [1, 2].map((version) => packImage(image(version)));
    let current = 0;
    const unknown = { status: 404, body: errorBody('MANIFEST_UNKNOWN', 'manifest unknown') };
    const registry = await startRegistry(
      (url) =>
        packed[current]?.get(url.replace(/.*\//, '')) ?? (url.includes('/manifests/') ? unknown : null),
    );
    const wanted = `${registry.host}/thing/app:1`;
    const command = 'echo "hello $$(cat /version)" > /www/index.html; exec httpd -f -p 8080 -h /www';
    try {
      for (current = 0; current < 2; current++) {
        const one = app('digest', { image: wanted, command });
        const probe = { ...ANY_ANSWER, contains: `hello ${current + 1}` };
        const asked = { ...one, settings: { ...one.settings, probe } };
        expect(await deployer({ pull: 'always' }).deploy(asked)).toEqual({
          ok: true,
          images: { app: { image: wanted, digest: packed[current]?.get('1')?.digest } },
          asked: true,
        });
      }
      // One run sees one image, however often it deploys and whatever becomes of the tag.
      const images = { app: { image: wanted, digest: packed[0]?.get('1')?.digest ?? '' } };
      const probe = { ...ANY_ANSWER, contains: 'hello 1' };
      const again = app('digest', { image: wanted, command });
      const settings = { ...again.settings, probe };
      writeFileSync(
        again.resolvedImages,
        JSON.stringify({ schema: 1, images: { [wanted]: images.app.digest } }),
      );
      expect(await deployer({ pull: 'always' }).deploy({ ...again, settings })).toMatchObject({
        ok: true,
        images,
      });
      // So does a canonical, in any run.
      const canonical = { ...app('digest', { image: wanted, command }), settings, provenImages: images };
      expect(await deployer({ pull: 'always' }).deploy(canonical)).toMatchObject({ ok: true, images });
      expect(existsSync(canonical.resolvedImages)).toBe(false);
      const gone = { app: { image: wanted, digest: `sha256:${'0'.repeat(64)}` } };
      const why = `was ${gone.app.digest} when it was looked at first.*`;
      const lost = await deployer({ pull: 'always' }).deploy({ ...canonical, provenImages: gone });
      expect(red(lost).reason).toMatch(new RegExp(`${why}manifest unknown.*canonical forget thing$`));
      // What a run saw a moment ago and cannot have again says nothing of the release.
      const moved = app('digest', { image: wanted, command });
      const seen = { schema: 1, images: { [wanted]: gone.app.digest } };
      writeFileSync(moved.resolvedImages, JSON.stringify(seen));
      await expect(deployer({ pull: 'always' }).deploy(moved)).rejects.toMatchObject({
        type: 'Registry',
        message: expect.stringMatching(new RegExp(`${why}the next sweep looks anew`)),
      });
    } finally {
      registry.close();
      await deployer().remove({ stack: stackName(`digest.${zone}`), lifetime: 'cold' });
      const images = await docker.listImages({ digests: true });
      const names = images.flatMap(({ RepoTags, RepoDigests }) => [
        ...(RepoDigests ?? []),
        ...(RepoTags ?? []),
      ]);
      for (const name of names.filter((one) => one.startsWith(registry.host))) {
        await docker
          .getImage(name)
          .remove()
          .catch(() => undefined);
      }
    }
  }, 60_000);

  it('of a registry that cannot be reached is a Fault', async () => {
    const unreachable = app('image', { image: '127.0.0.1:9/thing/app:1' });
    await expect(deployer().deploy(unreachable)).rejects.toMatchObject({ type: 'Registry' });
  }, 60_000);
});

it('a clock that is set while an app is watched makes it neither green nor red', async () => {
  const one = app('clock', { seconds: 10 });
  const real = Date.now;
  const set = vi.spyOn(Date, 'now');
  try {
    const deployment = deployer().deploy(one);
    // An hour on, every task looks as if it had been up for long enough, and every deadline as if it had passed.
    setTimeout(() => set.mockImplementation(() => real() + 3_600_000), 5_000);
    await expect(deployment).rejects.toMatchObject({
      type: 'Clock',
      message: expect.stringMatching(/clock was set 3600\.\d s forward/),
    });
  } finally {
    set.mockRestore();
    await deployer().remove(one);
  }
}, 60_000);

it("an engine's disk without headroom is a Fault, before anything is made", async () => {
  const one = app('full');
  await expect(deployer({ headroom: 1e18 }).deploy(one)).rejects.toMatchObject({
    type: 'Disk',
    message: expect.stringMatching(/GB free at \/.*, the engine's folder, and .* are wanted/),
  });
  expect(await left(one.stack)).toEqual([]);
}, 60_000);

describe('a removal', () => {
  it('undeploys and keeps volumes and secrets, or leaves nothing at all', async () => {
    const one = app('removal', { services: DB }, { lifetime: 'warm' });
    expect(await deployer().deploy(one)).toMatchObject({ ok: true });
    await deployer().undeploy(one);
    expect(await left(one.stack)).toEqual([`volume ${one.stack}_data`, `secret ${one.stack}_key_v1`]);
    expect(await stacks().volumes(one.stack)).toEqual([
      { name: `${one.stack}_data`, mountpoint: expect.stringContaining(one.stack) },
    ]);
    expect(await stacks().owned()).toEqual([
      { stack: one.stack, recipe: 'thing', lifetime: 'warm', running: false },
    ]);
    await deployer().undeploy(one);
    await stacks().trim(one, { volumes: [`${one.stack}_data`], secrets: [] });
    expect(await left(one.stack)).toEqual([`volume ${one.stack}_data`]);
    await deployer().remove(one);
    expect(await left(one.stack)).toEqual([]);
    expect((await docker.listNetworks()).map(({ Name }) => Name)).toContain('proxy');
  }, 60_000);

  it('takes a network that docker made for the stack without being told to, and the stack is removable', async () => {
    const one = app('lost');
    expect(await deployer().deploy(one)).toMatchObject({ ok: true });
    const compose = path.join(one.evidence, 'lost.yml');
    writeFileSync(compose, `version: "3.8"\nservices: {app: {image: "${image(1)}", networks: [lost]}}\n`);
    expect(() =>
      execFileSync('docker', ['stack', 'deploy', '--compose-file', compose, one.stack], { stdio: 'pipe' }),
    ).toThrow('undefined network "lost"');
    expect(await left(one.stack)).toContain(`network ${one.stack}_lost`);
    await deployer().remove(one);
    expect(await left(one.stack)).toEqual([]);
  }, 60_000);

  it('can be followed by a deployment at once, five times over', async () => {
    for (let time = 0; time < 5; time++) {
      const again = app('again');
      expect(await deployer().deploy(again)).toMatchObject({ ok: true });
      await deployer().remove(again);
      expect(await left(again.stack)).toEqual([]);
    }
  }, 180_000);

  it('makes a volume to restore into, which a deployment then mounts', async () => {
    const one = app('restore', {}, { lifetime: 'warm' });
    const made = await stacks().ensureVolume(one, 'thing', `${one.stack}_data`);
    expect(await stacks().volumes(one.stack)).toEqual([made]);
    expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  }, 60_000);

  it('refuses a stack of someone else, and touches nothing of it', async () => {
    const stack = `neighbour_${hex}`;
    const label = { 'com.docker.stack.namespace': stack };
    const theirs = await docker.createService({
      Name: `${stack}_app`,
      Labels: label,
      TaskTemplate: {
        ContainerSpec: {
          Image: image(1),
          Command: ['/bin/sleep', '1000'],
          Labels: label,
          StopGracePeriod: 1e9,
        },
      },
    });
    try {
      const before = await left(stack);
      for (const attempt of [
        () => deployer().undeploy({ stack, lifetime: 'cold' }),
        () => deployer().remove({ stack, lifetime: 'cold' }),
        () => deployer().deploy(app('neighbour', {}, { stack })),
      ]) {
        await expect(attempt()).rejects.toMatchObject({ type: 'NotOurs' });
      }
      expect((await left(stack)).slice(0, 1)).toEqual(before.slice(0, 1));
    } finally {
      await theirs.remove();
    }
  }, 60_000);
});

describe('what the policy would refuse', () => {
  it('is deployed as it is written once it is allowed, from an overlay too', async () => {
    const ours = path.join(scratch, 'recipes', 'thing');
    mkdirSync(ours, { recursive: true });
    const overlay = path.join(ours, 'overlay.yml');
    writeFileSync(
      overlay,
      `services:
  door:
    image: ${image(1)}
    command: ['/bin/sleep', '1000']
    stop_grace_period: 1s
    cap_add: [cap_net_admin]
    volumes: ['/usr/share:/host:ro']
    configs: [{source: sign, target: /sign}]
    deploy: {update_config: {monitor: 1s}, restart_policy: {delay: 1s}}
configs: {sign: {name: "\${STACK_NAME}_sign_v1", file: sign.txt}}
`,
    );
    writeFileSync(path.join(ours, 'sign.txt'), 'come in\n');
    const one = app('allowed');
    const settings = { ...one.settings, overlay };
    await expect(deployer().deploy({ ...one, settings })).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.stringContaining('allow: [host-path:/usr/share]'),
    });
    expect(await left(one.stack)).toEqual([]);
    const allow = ['cap-add:NET_ADMIN', 'host-path:/usr/share'];
    expect(await deployer().deploy({ ...one, settings: { ...settings, allow } })).toMatchObject({ ok: true });
    const { Spec } = await docker.getService(`${one.stack}_door`).inspect();
    expect(Spec.TaskTemplate.ContainerSpec).toMatchObject({
      CapabilityAdd: ['CAP_NET_ADMIN'],
      Mounts: [{ Type: 'bind', Source: '/usr/share', Target: '/host', ReadOnly: true }],
    });
  }, 120_000);
});

describe('a port of this host', () => {
  const published = 20_000 + (parseInt(hex, 16) % 10_000);
  const PORTS = [
    'door:',
    `  image: ${image(1)}`,
    "  command: ['/bin/sleep', '1000']",
    '  stop_grace_period: 1s',
    `  ports: [{target: 1, published: ${published}, mode: host}]`,
    '  deploy: {update_config: {monitor: 1s}, restart_policy: {delay: 1s}}',
  ];

  it('that another stack publishes is a Fault, before anything is made; its own is none', async () => {
    const first = app('port-first', { services: PORTS });
    const second = app('port-second', { services: PORTS });
    expect(await deployer().deploy(first)).toMatchObject({ ok: true });
    await expect(deployer().deploy(second)).rejects.toMatchObject({
      type: 'PortTaken',
      message: expect.stringContaining(
        `port ${published}/tcp of this host, which the service ${first.stack}_door has`,
      ),
    });
    expect(await left(second.stack)).toEqual([]);
    expect(await deployer().deploy(first)).toMatchObject({ ok: true });
  }, 120_000);

  it('that a process has is a Fault', async () => {
    const listener = createServer().listen(published, '0.0.0.0');
    try {
      const third = app('port-third', { services: PORTS, timeout: 10 });
      await expect(deployer().deploy(third)).rejects.toMatchObject({
        type: 'PortTaken',
        message: expect.stringContaining(`:${published}: bind: address already in use`),
      });
    } finally {
      listener.close();
    }
  }, 120_000);
});

describe('an attempt', () => {
  it('whose services somebody removes meanwhile is a Fault, and no verdict on the package', async () => {
    const slow = app('vanished', { command: 'sleep 600', timeout: 60 });
    const deploying = deployer().deploy(slow);
    await vi.waitUntil(async () => (await left(slow.stack)).some((thing) => thing.startsWith('service')), {
      timeout: 30_000,
      interval: 200,
    });
    await Promise.all([
      expect(deploying).rejects.toMatchObject({
        type: 'Daemon',
        message: expect.stringContaining('somebody removed app'),
      }),
      docker.getService(`${slow.stack}_app`).remove(),
    ]);
    await deployer().remove(slow);
  }, 90_000);

  it('that lost the host changes nothing', async () => {
    const one = app('fenced');
    const fenced = deployer({
      guard: async () => {
        throw new Fault('FenceLost', 'another attempt holds this host');
      },
    });
    await expect(fenced.deploy(one)).rejects.toMatchObject({ type: 'FenceLost' });
    expect(await left(one.stack)).toEqual([]);
  }, 60_000);

  it('without an engine is a Fault', async () => {
    const nowhere = deploying({ docker: new Dockerode({ socketPath: path.join(scratch, 'no.sock') }) });
    await expect(nowhere.deployer.deploy(app('nowhere'))).rejects.toMatchObject({ type: 'Daemon' });
    await expect(nowhere.stacks.owned()).rejects.toMatchObject({ type: 'Daemon' });
  });

  it('keeps a service that a release no longer has, as abra does', async () => {
    expect(await deployer().deploy(app('prune', { services: DB }))).toMatchObject({ ok: true });
    const fewer = app('prune', { version: '1.1.0+1.0' });
    expect(await deployer().deploy(fewer)).toMatchObject({ ok: true });
    const services = (await left(fewer.stack)).filter((name) => name.startsWith('service'));
    expect(services.sort()).toEqual([`service ${fewer.stack}_app`, `service ${fewer.stack}_db`]);
    const { ofRelease, older } = await stacks().services(fewer);
    expect([ofRelease.map(({ name }) => name), older]).toEqual([['app'], ['db']]);
  }, 60_000);
});

describe('a deployment that is cancelled', () => {
  it('ends at once', async () => {
    const controller = new AbortController();
    const pending = deployer({ signal: controller.signal }).deploy(app('cancelled', { command: 'exit 1' }));
    setTimeout(() => controller.abort(new Error('cancelled')), 2_500);
    const began = Date.now();
    await expect(pending).rejects.toThrow('cancelled');
    expect(Date.now() - began).toBeLessThan(3_500);
  }, 60_000);
});
