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
import { tmpdir } from 'node:os';
import path from 'node:path';
import Dockerode from 'dockerode';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { stackName } from '../../domain/names.ts';
import { ANY_ANSWER, type Hook } from '../../domain/recipe-settings.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import type { App } from '../../domain/app.ts';
import { processRunner } from '../../host/machine/process.ts';
import { deployingOnSwarm } from '../../host/deploy/deploying.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';
import { ensureProxyNetwork, importBusybox } from './engine.ts';
import { plainLimits } from '../fixtures/plain-config.ts';

/**
 * A recipe's hooks and checks around a deployment on the swarm of this machine. Needs an engine that is a swarm
 * manager, a static busybox and curl.
 */

const hex = randomBytes(3).toString('hex');
const zone = `h${hex}.test`;
const socket = '/var/run/docker.sock';
const docker = new Dockerode({ socketPath: socket });
const scratch = mkdtempSync(path.join(tmpdir(), 'hooks-'));
const image = `localhost/recipe-sweep/hooks:${hex}`;
let removeProxy: (() => Promise<void>) | undefined;

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

function bonds(signal = new AbortController().signal) {
  return {
    commands: processRunner({ environment, signal }),
    signal,
    guard: async () => undefined,
    report: () => undefined,
  };
}
const deploying = (signal?: AbortSignal) =>
  deployingOnSwarm({ config, docker, commandMark: '', ...bonds(signal) });
const deployer = (signal?: AbortSignal) => deploying(signal).deployer;
const stacks = () => deploying().stacks;

let folders = 0;

interface Changes {
  command?: string;
  /** Added to .env.sample. */
  env?: string;
  abraSh?: string;
}

/** A recipe that serves its volume, which is empty at first, and needs a secret that is inserted. */
function app(name: string, hooks: Partial<Record<Hook, string>>, changes: Changes = {}): App {
  const folder = path.join(scratch, `${++folders}`);
  for (const one of ['recipe', 'evidence', 'hooks']) mkdirSync(path.join(folder, one), { recursive: true });
  const written = (file: string, text: string): string => {
    const full = path.join(folder, file);
    writeFileSync(full, `#!/bin/sh\nset -eu\n${text}\n`, { mode: 0o755 });
    return full;
  };
  const checkout = path.join(folder, 'recipe');
  const command = changes.command ?? 'exec httpd -f -p 8080 -h /data';
  writeFileSync(
    path.join(checkout, 'compose.yml'),
    `version: "3.8"
services:
  app:
    image: ${image}
    command: ['/bin/sh', '-c', '${command}']
    networks: [proxy]
    volumes: ['data:/data']
    secrets: [by_hand, made]
    stop_grace_period: 1s
    deploy:
      endpoint_mode: dnsrr
      update_config: {order: start-first, monitor: 1s}
      restart_policy: {delay: 1s}
      labels:
        - "traefik.http.services.\${STACK_NAME}.loadbalancer.server.port=8080"
        - "coop-cloud.\${STACK_NAME}.version=1.0.0+1.0"
volumes: {data: }
networks: {proxy: {external: true}}
secrets:
  by_hand: {external: true, name: "\${STACK_NAME}_by_hand_\${SECRET_BY_HAND_VERSION}"}
  made: {external: true, name: "\${STACK_NAME}_made_\${SECRET_MADE_VERSION}"}
`,
  );
  writeFileSync(
    path.join(checkout, '.env.sample'),
    'TYPE=thing\nDOMAIN=thing.example.com\nSECRET_BY_HAND_VERSION=v1 # generate=false\nSECRET_MADE_VERSION=v1 # length=20\n' +
      (changes.env ?? ''),
  );
  if (changes.abraSh !== undefined) writeFileSync(path.join(checkout, 'abra.sh'), changes.abraSh);
  const domain = `${name}.${zone}`;
  return {
    recipe: 'thing',
    version: '1.0.0+1.0',
    commit: 'c'.repeat(40),
    checkout,
    scratch: path.join(folder, 'private'),
    domain,
    stack: stackName(domain),
    lifetime: 'cold',
    run: `e2e/${name}`,
    env: {},
    settings: {
      ...plainSettings('thing'),
      probe: { ...ANY_ANSWER, contains: 'seeded' },
      hooks: Object.fromEntries(
        Object.entries(hooks).map(([hook, text]) => [hook, written(`hooks/${hook}`, text)]),
      ),
      checks: [written('hooks/check', CHECK)],
    },
    dependencies: [],
    secrets: {},
    resolvedImages: path.join(folder, 'images.json'),
    provenImages: null,
    evidence: path.join(folder, 'evidence'),
  };
}

const INSTALL = 'echo "inserting word-by-hand-$RECIPE"; echo "word-by-hand-$RECIPE" > "$SECRETS_DIR/by_hand"';
const READY = 'echo "seeded by $RECIPE $VERSION" | in-service app sh -c "cat > /data/index.html"';
const CHECK = `test "$(curl --silent --fail "$APP_URL")" = 'seeded by thing 1.0.0+1.0'
in-service app cat /run/secrets/by_hand | od -c
in-service app cat /run/secrets/by_hand /run/secrets/made
in-service app sh -c 'exit 5' || test $? = 5
! in-service nobody true
test -f "$RECIPE_DIR/compose.yml"`;

const kept = (one: App, file: string): string => readFileSync(path.join(one.evidence, file), 'utf8');

beforeAll(async () => {
  importBusybox(image, ['sh', 'httpd', 'sleep', 'cat', 'grep', 'test', 'touch'], (root) =>
    mkdirSync(path.join(root, 'tmp')),
  );
  removeProxy = await ensureProxyNetwork(docker);
}, 60_000);

afterEach(async () => {
  for (const { stack, lifetime } of await stacks().owned()) {
    if (lifetime !== null) await deployer().remove({ stack, lifetime });
  }
}, 120_000);

afterAll(async () => {
  await removeProxy?.();
  await docker.getImage(image).remove({ force: true });
  rmSync(scratch, { recursive: true, force: true });
}, 60_000);

it('a hook inserts a secret, another one seeds content, and a check finds both', async () => {
  const one = app('green', { install: INSTALL, ready: READY });
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  expect(await stacks().secrets(one.stack)).toEqual([`${one.stack}_by_hand_v1`, `${one.stack}_made_v1`]);

  const { scripts } = deploying();
  expect(await scripts.check(one, one.settings.checks[0] ?? '')).toEqual({ result: 'pass' });
  // Without the line end, and neither secret as it is.
  expect(kept(one, 'check-check.txt')).toMatch(/ n +g\n0000022\n\*{6}in-service: \S+_nobody has no running/);
  expect(kept(one, 'hook-install.txt')).toContain('\ninserting ***\n');
  expect(readdirSync(one.scratch)).toEqual([]);

  // Once more, over what is there: the hooks may find their work done.
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  const everything = execFileSync('grep', ['-rc', 'word-by-hand', path.dirname(one.checkout)], {
    encoding: 'utf8',
  });
  const found = everything
    .trim()
    .split('\n')
    .filter((line) => !line.endsWith(':0'));
  expect(found).toEqual([expect.stringContaining('/hooks/install:')]);
}, 90_000);

it('what the hook install sets is set for that deployment, over its env, and for no other one', async () => {
  const set = `printf v2 > "$ENV_DIR/SECRET_BY_HAND_VERSION"; echo 'made by the hook' > "$ENV_DIR/WORD"`;
  const one = app('set', { install: `${INSTALL}\n${set}`, ready: READY }, { env: 'WORD=of the sample\n' });
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  expect(await stacks().secrets(one.stack)).toEqual([`${one.stack}_by_hand_v2`, `${one.stack}_made_v1`]);
  const word = async (): Promise<string> => {
    const { output } = await stacks().exec(one.stack, 'app', 'echo "$WORD"', 20_000);
    return output.trim();
  };
  expect(await word()).toBe('made by the hook');

  const other = app('set', { install: INSTALL, ready: READY }, { env: 'WORD=of the sample\n' });
  expect(await deployer().deploy(other, 'upgrade')).toMatchObject({ ok: true });
  expect(await word()).toBe('of the sample');
}, 90_000);

it('an insertion that the recipe knows nothing of is red, and nothing is made', async () => {
  const one = app('unknown', { install: 'echo x > "$SECRETS_DIR/by_foot"' });
  expect(await deployer().deploy(one)).toEqual({
    ok: false,
    reason:
      'the install hook inserts by_foot, but no service uses an external secret of that key; those are: by_hand, made',
    evidence: path.join(one.evidence, 'hook-install.txt'),
  });
  expect(await stacks().secrets(one.stack)).toEqual([]);
  expect(readdirSync(one.scratch)).toEqual([]);
});

it('a secret that nobody inserts is red, and says where it belongs', async () => {
  expect(await deployer().deploy(app('missing', { install: 'exit 0' }))).toMatchObject({
    ok: false,
    reason: expect.stringContaining('_by_hand_v1 ($SECRETS_DIR/by_hand); the recipe'),
  });
});

it('a hook that fails is red, with what it printed', async () => {
  const early = app('early', { install: 'echo no entropy >&2; exit 3' });
  expect(await deployer().deploy(early)).toEqual({
    ok: false,
    reason: 'hook install: exit status 3: no entropy',
    evidence: path.join(early.evidence, 'hook-install.txt'),
  });
  const late = app('late', { install: INSTALL, ready: 'in-service app cat /no/such/file' });
  expect(await deployer().deploy(late)).toMatchObject({
    ok: false,
    reason: expect.stringMatching(/^hook ready: exit status 1: cat: .*\/no\/such\/file/),
    evidence: path.join(late.evidence, 'hook-ready.txt'),
  });
}, 60_000);

it('a hook that failed on an app which crashed meanwhile is run again when that is up', async () => {
  // It falls over once, a while after it seemed to be up.
  const command =
    'if [ ! -e /data/once ]; then touch /data/once; sleep 3; exit 1; fi; exec httpd -f -p 8080 -h /data';
  const ready = `${READY}; in-service app sh -c 'sleep 4'`;
  const one = app('again', { install: INSTALL, ready }, { command });
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  expect(kept(one, 'hook-ready.txt').match(/== started/g)).toHaveLength(2);
}, 90_000);

/** Serves what its abra.sh wrote; the hook ready and the page depend on it. */
const ABRA_SH = `export VERSION=v1
seed() {
  test "$1" = "it's" || return 4
  echo "seeded by $TARGET of $APP_NAME in $STACK_NAME, $TYPE" > /data/index.html
}
count() { echo x >> /data/counted; }
fall() { touch /data/fall; sleep 100; }
tell() { echo asked for a reason; cat /run/secrets/made; echo; return 7; }
`;

it('commands of the recipe are run in its containers as abra does, each on its occasion', async () => {
  const one = app(
    'commands',
    { install: INSTALL, ready: "in-service app cat /data/index.html | grep -q '^seeded by app of commands'" },
    {
      abraSh: ABRA_SH,
      env: `POST_DEPLOY_CMDS="app seed it\\\\'s|app count"\nPOST_UPGRADE_CMDS="app count"\n`,
    },
  );
  const counted = async (): Promise<number> => {
    const { output } = await stacks().exec(one.stack, 'app', 'cat /data/counted', 5_000);
    return output.trim().split('\n').length;
  };
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  const { output } = await stacks().exec(one.stack, 'app', 'cat /data/index.html', 5_000);
  expect(output).toBe(`seeded by app of ${one.domain} in ${one.stack}, thing:1.0.0+1.0\n`);
  expect(await counted()).toBe(1);
  expect(await deployer().deploy(one, 'restart')).toMatchObject({ ok: true });
  expect(await counted()).toBe(1);
  expect(await deployer().deploy(one, 'upgrade')).toMatchObject({ ok: true });
  expect(await counted()).toBe(2);
  expect(kept(one, 'post-upgrade-commands.txt')).toMatch(/^== POST_UPGRADE_CMDS: app count\n/);
}, 120_000);

it('a command that fails is red, with what it printed but no secrets', async () => {
  const one = app(
    'failing',
    { install: INSTALL },
    { abraSh: ABRA_SH, env: 'POST_DEPLOY_CMDS="app tell me|app count"\n' },
  );
  expect(await deployer().deploy(one)).toEqual({
    ok: false,
    reason: 'POST_DEPLOY_CMDS: app tell me: exit status 7: ***',
    evidence: path.join(one.evidence, 'post-deploy-commands.txt'),
  });
  expect(kept(one, 'post-deploy-commands.txt')).toMatch(
    /^== POST_DEPLOY_CMDS: app tell me\n== started \S+\nasked for a reason\n\*\*\*\n== ended \S+, exit status 7\n\n$/,
  );
  expect(readdirSync(one.scratch)).toEqual([]);
}, 60_000);

it('commands that cannot be meant are red before anything is deployed', async () => {
  const changes = { abraSh: ABRA_SH, env: 'POST_DEPLOY_CMDS="app seed | db migrate"\n' };
  const one = app('malformed', { install: INSTALL }, changes);
  expect(await deployer().deploy(one)).toMatchObject({
    ok: false,
    reason:
      '.env.sample:5: POST_DEPLOY_CMDS: " db migrate": the recipe has no service ""; no blank may stand before a service',
  });
  expect(await stacks().owned()).toEqual([]);
});

it('a command whose container went meanwhile is run again when the app is up', async () => {
  // It falls over once, while the command runs.
  const command =
    'httpd -f -p 8080 -h /data & while [ ! -e /data/fall ] || [ -e /data/fell ]; do sleep 1; done; touch /data/fell; exit 1';
  const one = app(
    'fallen',
    { install: INSTALL, ready: READY },
    {
      command,
      abraSh: `${ABRA_SH}once() { [ -e /data/fell ] || fall; }\n`,
      env: 'POST_DEPLOY_CMDS="app once"\n',
    },
  );
  expect(await deployer().deploy(one)).toMatchObject({ ok: true });
  expect(kept(one, 'post-deploy-commands.txt').match(/== ended .*/g)).toEqual([
    expect.stringContaining('the container of app ended meanwhile'),
    expect.stringContaining('exit status 0'),
  ]);
}, 120_000);

it('a hook that takes too long is red, and what it began in a container is ended', async () => {
  const sleep = `sleep 4${hex.replaceAll(/\D/g, '1')}`;
  const one = app('slow', { install: INSTALL, ready: `echo begun; in-service app ${sleep}` });
  const slow = { ...one, settings: { ...one.settings, timeouts: { hook: 8_000, check: 8_000 } } };
  expect(await deployer().deploy(slow)).toMatchObject({
    ok: false,
    reason: 'hook ready: not finished after 8s, ended: begun',
  });
  expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n')).not.toContain(sleep);
}, 60_000);

it('a hook ends when the deployment is cancelled, and its secrets are gone', async () => {
  const began = path.join(scratch, 'began');
  const one = app('cancelled', { install: `${INSTALL}; touch ${began}; sleep 100` });
  const ending = new AbortController();
  const pending = deployer(ending.signal).deploy(one);
  await expect.poll(() => existsSync(began)).toBe(true);
  ending.abort(new Error('cancelled'));
  await expect(pending).rejects.toThrow('cancelled');
  expect(readdirSync(one.scratch)).toEqual([]);
});
