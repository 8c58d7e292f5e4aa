import { createECDH } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { HOOKS } from '../../domain/recipe-settings.ts';
import { mistakeLines, readRecipeFolder } from '../../host/recipes/recipe-folder.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';

const OURS = path.resolve(import.meta.dirname, '../../recipes');

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'recipes-'));
});

afterEach(async () => {
  await rm(folder, { recursive: true });
});

async function write(recipe: string, text: string, files: Record<string, string> = {}): Promise<void> {
  for (const [name, content] of Object.entries({ 'recipe.yml': text, ...files })) {
    const file = path.join(folder, recipe, name);
    await mkdir(path.dirname(file), { recursive: true });
    await writeFile(file, content);
    if (/^(hooks|checks)\//.test(name)) await chmod(file, 0o755);
  }
}

/** What is wrong with a recipe whose recipe.yml says this besides its upstream. */
async function mistakes(text: string, files: Record<string, string> = {}): Promise<string[]> {
  await write('one', `upstream: /srv/one.git\n${text}`, files);
  return mistakesOf('one');
}

async function mistakesOf(recipe: string): Promise<string[]> {
  const read = await readRecipeFolder(folder, recipe);
  return read.ok ? [] : mistakeLines(read.mistakes);
}

const SCRIPT = '#!/bin/sh\n';

describe('our own recipes', () => {
  test('are 21 and traefik, all enrolled but the live services', async () => {
    const all = await createRecipes(OURS).all();
    expect(all).toHaveLength(22);
    const left = all.filter(({ exception }) => exception !== null);
    expect(left.map(({ recipe, live }) => [recipe, live])).toEqual([
      ['keycloak', true],
      ['traefik', true],
    ]);
  });

  test('have nothing wrong with them', async () => {
    const all = await createRecipes(OURS).all();
    expect(all.filter(({ problem }) => problem !== null)).toEqual([]);
  });

  test('may have the second names that they give themselves beside their own domain', async () => {
    const recipes = createRecipes(OURS);
    const asked = await Promise.all(
      (await recipes.all()).map(async ({ recipe }) => {
        const { env, allow } = await recipes.one(recipe);
        const hosts = Object.values(env).filter((value) => value.endsWith('-${DOMAIN}'));
        return hosts.map((host) => [
          recipe,
          host,
          allow.includes(`route:${host.replace('${DOMAIN}', 'DOMAIN')}`),
        ]);
      }),
    );
    expect(asked.flat().filter(([, , allowed]) => !allowed)).toEqual([]);
    expect(asked.flat().length).toBeGreaterThan(2);
  });
});

test('bluesky-pds gets a private key on secp256k1, in hexadecimal', async () => {
  const { run } = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  const { hooks } = await createRecipes(OURS).one('bluesky-pds');
  await run({ file: hooks.install ?? '', args: [], cwd: folder, env: { SECRETS_DIR: folder } });
  const key = await readFile(path.join(folder, 'pds_plc_rotation_key'), 'utf8');
  expect(key).toMatch(/^[0-9a-f]{64}$/);
  const curve = createECDH('secp256k1');
  curve.setPrivateKey(key, 'hex');
  expect(curve.getPublicKey('hex', 'compressed')).toMatch(/^0[23]/);
});

describe('the example', () => {
  const example = async (): Promise<string> => readFile(path.join(OURS, 'recipe.example.yml'), 'utf8');
  /** The # of a line that is put out of use; one blank after it makes it prose. */
  const OUT_OF_USE = /^#(?=\S|  )/gm;

  beforeEach(() => write('keycloak', 'upstream: /srv/keycloak.git\n'));

  test('is a recipe.yml with every key, and means what it says', async () => {
    await write('hedgedoc', await example());
    expect(await createRecipes(folder).one('hedgedoc')).toEqual({
      recipe: 'hedgedoc',
      upstream: 'https://git.coopcloud.tech/coop-cloud/hedgedoc.git',
      exception: null,
      hold: null,
      live: false,
      stateful: null,
      preReleases: false,
      oneShot: ['migrate'],
      env: {
        CMD_ALLOW_ANONYMOUS: 'true',
        CMD_CSP_REPORTURI: 'https://reports.${DOMAIN}/csp',
        CMD_OAUTH2_BASEURL: '${DEP_KEYCLOAK_URL}',
      },
      upgradeEnv: { CMD_ALLOW_EMAIL_REGISTER: 'false' },
      deps: ['keycloak'],
      tools: ['git-lfs'],
      probe: {
        protocol: 'http',
        path: '/status',
        status: [200],
        contains: 'onlineUsers',
        redirects: 'follow',
        certificate: 'trusted',
      },
      allow: ['cap-add:NET_ADMIN', 'host-path:/srv/media'],
      timeouts: { hook: 120_000, check: 900_000 },
      hooks: {},
      checks: [],
      overlay: null,
    });
  });

  test('also where a key is put out of use', async () => {
    const all = (await example()).split('\n').filter((line) => line.match(OUT_OF_USE));
    const ofServices = /^#(?:live|stateful):/;
    const lines = all.filter((line) => !ofServices.test(line));
    await write('mumble', `upstream: /srv/mumble.git\n${lines.join('\n').replaceAll(OUT_OF_USE, '')}`);
    expect(await createRecipes(folder).one('mumble')).toMatchObject({
      exception: 'nobody maintains it any more',
      hold: '2.0.0 waits for a new host',
      probe: { protocol: 'tcp', port: 64_738, service: 'voice', tls: true, send: '0a0d', expect: '^0000' },
    });
    const service = all.filter((line) => ofServices.test(line)).map((line) => line.slice(1));
    await write('traefik', `upstream: /srv/traefik.git\n${service.join('\n')}\n`);
    expect(await createRecipes(folder).one('traefik')).toMatchObject({ live: true, stateful: true });
  });
});

test('docs/recipes.md tells when each hook is run', async () => {
  const docs = await readFile(path.resolve(OURS, '../docs/recipes.md'), 'utf8');
  const rows = docs.split('\n').filter((line) => line.startsWith('| `'));
  for (const hook of [...HOOKS, 'before-<tier>', 'after-<tier>']) {
    expect(rows.filter((row) => row.split('|')[1]?.includes(`\`${hook}\``))).toHaveLength(1);
  }
});

test('a recipe.yml that says no more than its upstream has these settings', async () => {
  await write('one', 'upstream: /srv/one.git\n');
  expect(await createRecipes(folder).one('one')).toEqual({
    recipe: 'one',
    upstream: '/srv/one.git',
    exception: null,
    hold: null,
    live: false,
    stateful: null,
    preReleases: false,
    oneShot: [],
    env: {},
    upgradeEnv: {},
    deps: [],
    tools: [],
    probe: null,
    allow: [],
    timeouts: { hook: 300_000, check: 600_000 },
    hooks: {},
    checks: [],
    overlay: null,
  });
});

test.each(['../../bin/sh', '/usr/bin/node', 'git lfs', '-x', '', 'a$b', '12'.repeat(40)])(
  'a tool is the name of a program, and not %j',
  async (tool) => {
    await write('one', `upstream: /srv/one.git\ntools: [node, ${JSON.stringify(tool)}]\n`);
    await expect(createRecipes(folder).one('one')).rejects.toThrow(
      "recipe.yml: tools.1: a program's name, as in git-lfs",
    );
  },
);

test('hooks, checks and the overlay are those that stand in the folder; samples and hidden files are not', async () => {
  await write('one', 'upstream: /srv/one.git\n', {
    'hooks/install': SCRIPT,
    'hooks/after-upgrade': '\u007fELF…',
    'hooks/check-data.sample': 'to be read',
    'hooks/.install.swp': '',
    'checks/20-logs-in': SCRIPT,
    'checks/10-answers.py': '#!/usr/bin/python3\n',
    'overlay.yml': 'services: { app: { environment: [DEBUG=1] } }\n',
    'README.md': 'whatever else',
  });
  const at = (file: string): string => path.join(folder, 'one', file);
  expect(await createRecipes(folder).one('one')).toMatchObject({
    hooks: { install: at('hooks/install'), 'after-upgrade': at('hooks/after-upgrade') },
    checks: [at('checks/10-answers.py'), at('checks/20-logs-in')],
    overlay: at('overlay.yml'),
  });
});

test('all that is wrong in a folder is said at once, and the other recipes stay enrolled', async () => {
  await write(
    'one',
    'upstream: ext::sh -c id\nupgrade_base: 1.0.0+1\nprobe: { stauts: [200] }\ndeps: [three]\nenv: { A: "${DEP_TWO_URL}" }\n',
    { 'hooks/instal': SCRIPT, 'checks/answers': 'no script\n', 'overlay.yml': 'services\n' },
  );
  await write('two', 'upstream: /srv/two.git\n');
  const all = await createRecipes(folder).all();
  expect(all.map(({ recipe, problem }) => [recipe, problem === null])).toEqual([
    ['one', false],
    ['two', true],
  ]);
  const lines = all[0]?.problem?.split('\n') ?? [];
  expect(lines[0]).toBe(`${path.join(folder, 'one')}:`);
  for (const part of [
    'recipe.yml: upstream: not a git URL',
    'recipe.yml: upgrade_base: bases are computed',
    'recipe.yml: probe.stauts: unknown key',
    'recipe.yml: deps.0: three has no folder',
    'recipe.yml: env.A: ${DEP_TWO_URL} stands for nothing; known here: ${DEP_THREE_DOMAIN}',
    'hooks/instal: no hook is called so; known are install, ready,',
    'checks/answers: begins with no #! line',
    'overlay.yml: is not a compose file',
  ]) {
    expect(lines.filter((line) => line.startsWith(`  ${part}`))).toHaveLength(1);
  }
  expect(lines).toHaveLength(9);
});

test.each([
  ['no such folder', null],
  ['broken YAML', 'upstream: [\n'],
  ['an empty file', ''],
])('%s is a clear error', async (_situation, text) => {
  if (text !== null) await write('one', text);
  await expect(createRecipes(folder).one('one')).rejects.toMatchObject({
    type: 'BadConfig',
    message: expect.stringContaining('recipe.yml'),
  });
});

test('no key pins the base of an upgrade: bases are computed', async () => {
  expect(await mistakes('upgrade_base: 1.0.0+1\n')).toEqual([
    'recipe.yml: upgrade_base: bases are computed, from the canonical and the releases; no key pins one',
  ]);
});

describe('what one key says', () => {
  test.each([
    ['upgrade_baes: 1', 'upgrade_baes: unknown key'],
    ['env: { lower: a }', 'env.lower: an environment variable in capitals'],
    ['env: { PORT: 80 }', 'env.PORT: text: put numbers, true and false between quotes'],
    ['env: { DOMAIN: a.example.org }', 'env.DOMAIN: set for each deployment; it cannot be chosen'],
    [
      'upgrade_env: { STACK_NAME: a }',
      'upgrade_env.STACK_NAME: set for each deployment; it cannot be chosen',
    ],
    ['timeouts: { hook: 5 }', 'timeouts.hook: a whole number with a unit'],
    ['timeouts: { check: 0s }', 'timeouts.check: more than 0s'],
    ['timeouts: { check: 600h }', 'timeouts.check: more than 0s, and at most 24h'],
    ['probe: { path: status }', 'probe.path: a path that begins with /'],
    ['probe: { protocol: gopher }', 'probe.protocol: http, tcp or udp'],
    ['probe: /status', 'probe: Invalid input: expected object'],
    ['probe: { port: 25 }', 'probe.port: of tcp and udp alone'],
    ['probe: { protocol: tcp }', 'probe.port: Invalid input: expected number'],
    ['probe: { protocol: tcp, port: 25, path: / }', 'probe.path: unknown key'],
    ['probe: { protocol: tcp, port: 25, send: 0xa }', 'probe.send: '],
    ['probe: { protocol: tcp, port: 25, send: abc }', 'probe.send: bytes in hexadecimal'],
    ['probe: { protocol: tcp, port: 25, expect: "(" }', 'probe.expect: not a regular expression'],
    ['probe: { protocol: tcp, port: 25, expect: "(a+)+$" }', 'probe.expect: repeats a group'],
    ['probe: { protocol: tcp, port: 25, expect: "((ab|c*)d){2,}" }', 'probe.expect: repeats a group'],
    [`probe: { protocol: tcp, port: 25, expect: ${'a'.repeat(201)} }`, 'probe.expect: at most 200'],
    ['probe: { protocol: udp, port: 53 }', 'probe.send: needed with udp'],
    ['probe: { protocol: udp, port: 53, send: "00", tls: true }', 'probe.tls: of tcp alone'],
    ['allow: [docker-sock]', 'allow.0: not the name of a finding: docker-socket, host-network,'],
    ['allow: [host-path:srv]', 'allow.0: not the name of a finding'],
    ['allow: [host-path:/srv/../etc]', 'allow.0: not the name of a finding'],
    ['allow: [host-network, host-network]', 'allow: the same finding twice'],
    ['deps: [../one]', 'deps.0: not a recipe name'],
  ])('%s', async (text, says) => {
    expect(await mistakes(text)).toEqual([expect.stringContaining(`recipe.yml: ${says}`)]);
  });

  test.each([
    'allow: [docker-socket, host-network, cap-add:SYS_ADMIN, host-path:/srv, bind-volume:/srv/x, device:/dev/fuse, privileged]',
    'probe: { protocol: udp, port: 53, send: "00ff", expect: "^00(?:[0-9a-f]{2})*ff$" }',
    'probe: { protocol: tcp, port: 25, expect: "^[+*(]\\\\(+(ab)+(c+|d){3}$" }',
    'timeouts: { hook: 24h }',
  ])('%s is as it should be', async (text) => {
    expect(await mistakes(text)).toEqual([]);
  });
});

describe('dependencies', () => {
  test('may be enrolled or an exception, and may have their own', async () => {
    await write('gitea', 'upstream: /srv/gitea.git\ndeps: [keycloak]\n');
    await write('keycloak', 'upstream: /srv/keycloak.git\nexception: shared\n');
    const env = 'env: { SERVER: "${DEP_GITEA_URL}", HOST: "${DEP_KEYCLOAK_DOMAIN}" }';
    expect(await mistakes(`deps: [gitea, keycloak]\n${env}\n`)).toEqual([]);
  });

  test('are not the recipe itself, nor one without a folder', async () => {
    expect(await mistakes('deps: [one, two]')).toEqual([
      'recipe.yml: deps.0: the recipe itself',
      `recipe.yml: deps.1: two has no folder of its own: there is no ${folder}/two/recipe.yml`,
    ]);
  });

  test('do not go in a circle, also not without the recipe', async () => {
    await write('two', 'upstream: /srv/two.git\ndeps: [three]\n');
    await write('three', 'upstream: /srv/three.git\ndeps: [one]\n');
    expect(await mistakes('deps: [two]')).toEqual([
      'recipe.yml: deps.0: they need each other: one → two → three → one',
    ]);
    await write('three', 'upstream: /srv/three.git\ndeps: [two]\n');
    expect(await mistakes('deps: [two]')).toEqual([
      'recipe.yml: deps.0: they need each other: two → three → two',
    ]);
  });

  test('are known to env by their whole names in braces', async () => {
    await write('two', 'upstream: /srv/two.git\n');
    expect(
      await mistakes('deps: [two]\nupgrade_env: { A: "$DEP_TWO_URL ${DEP_TWO_URL} ${DEP_TWO}" }'),
    ).toEqual([
      expect.stringContaining('recipe.yml: upgrade_env.A: $DEP_TWO_URL, ${DEP_TWO} stands for nothing'),
    ]);
  });

  test('of which keycloak is known by its realm as well, and by no secret of it', async () => {
    await write('keycloak', 'upstream: /srv/keycloak.git\n');
    const known = ['REALM', 'ISSUER', 'CLIENT_ID', 'USER'].map((name) => `\${DEP_KEYCLOAK_${name}}`);
    expect(await mistakes(`deps: [keycloak]\nenv: { A: "${known.join(' ')}" }`)).toEqual([]);
    expect(
      await mistakes(
        'deps: [keycloak]\nenv: { A: "${DEP_KEYCLOAK_CLIENT_SECRET}" }\nupgrade_env: { B: "a $DEP_KEYCLOAK_PASSWORD" }',
      ),
    ).toEqual([
      'recipe.yml: env.A: ${DEP_KEYCLOAK_CLIENT_SECRET} is a secret, and everybody reads env: have the hook install write it into $SECRETS_DIR/<key>, as a secret of the stack',
      expect.stringContaining('recipe.yml: upgrade_env.B: $DEP_KEYCLOAK_PASSWORD is a secret'),
    ]);
    await write('two', 'upstream: /srv/two.git\n');
    expect(await mistakes('deps: [two]\nenv: { A: "${DEP_TWO_REALM}" }')).toHaveLength(1);
  });
});

describe('what stands in the folder', () => {
  test('a name that is nearly one of ours', async () => {
    expect(await mistakes('', { 'hook/install': SCRIPT, 'overlay.yaml': '' })).toEqual([
      'hook: hooks is meant: no other name is looked at',
      'overlay.yaml: overlay.yml is meant: no other name is looked at',
    ]);
  });

  test('write-data alone proves nothing', async () => {
    expect(await mistakes('', { 'hooks/write-data': SCRIPT })).toEqual([
      'hooks/write-data: needs a hook check-data that looks for the data',
    ]);
  });

  test('a hook or check that cannot be run', async () => {
    await write('one', 'upstream: /srv/one.git\n', {
      'hooks/install': SCRIPT,
      'hooks/before-upgrades': SCRIPT,
      'checks/crlf': '#!/bin/sh\r\ntrue\r\n',
      'checks/Answers': SCRIPT,
      'checks/folder/check': SCRIPT,
    });
    await chmod(path.join(folder, 'one/hooks/install'), 0o644);
    await symlink('nowhere', path.join(folder, 'one/checks/link'));
    expect(await mistakesOf('one')).toEqual([
      expect.stringContaining('hooks/before-upgrades: no hook is called so'),
      `hooks/install: not executable: chmod +x ${folder}/one/hooks/install`,
      expect.stringContaining("checks/Answers: a check's name is of a-z"),
      'checks/crlf: its lines end in CRLF, so its interpreter is not found',
      'checks/folder: not a regular file',
      'checks/link: a link that leads nowhere',
    ]);
  });

  test('a check that is a link to a script elsewhere is one', async () => {
    await write('shared', 'upstream: /srv/shared.git\n', { 'checks/answers': SCRIPT });
    await write('one', 'upstream: /srv/one.git\n');
    await mkdir(path.join(folder, 'one/checks'));
    await symlink('../../shared/checks/answers', path.join(folder, 'one/checks/answers'));
    expect(await mistakesOf('one')).toEqual([]);
  });

  test('hooks that are no folder', async () => {
    await write('one', 'upstream: /srv/one.git\n');
    await writeFile(path.join(folder, 'one/hooks'), SCRIPT);
    expect(await mistakesOf('one')).toEqual([expect.stringContaining('hooks: ENOTDIR')]);
  });

  test('an overlay that docker would not read', async () => {
    expect(await mistakes('', { 'overlay.yml': 'services:\n  app: {}\n  app: {}\n' })).toEqual([
      'overlay.yml:3: the key app stands there twice',
    ]);
  });
});

test('what no recipe can be called stops nothing: it is named as a stray', async () => {
  await write('one', 'upstream: /srv/one.git\n');
  await write('Four', 'upstream: /x\n');
  for (const name of ['.git', '_shared']) await mkdir(path.join(folder, name));
  for (const name of ['README.md', 'file']) await writeFile(path.join(folder, name), '');
  await symlink('/nonsuch', path.join(folder, 'gone'));
  const recipes = createRecipes(folder);
  expect((await recipes.all()).map(({ recipe }) => recipe)).toEqual(['one']);
  const strays = await recipes.strays();
  expect(strays.map(({ name }) => name)).toEqual(['.git', 'Four', '_shared', 'file', 'gone']);
  expect(strays[0]?.what).toContain('no recipe has such a name');
});
