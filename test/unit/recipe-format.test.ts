import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { prepareRecipe, type PreparedRecipe } from '../../host/prepare/prepare.ts';
import { parseCompose, type ComposeFile } from '../../host/recipe-format/compose.ts';
import { envText, parseAbraExports, parseEnvSample } from '../../host/recipe-format/env.ts';
import { withExposedEnv } from '../../host/prepare/exposed-env.ts';
import { portName } from '../../host/recipe-format/ports.ts';
import { RecipeProblem } from '../../host/recipe-format/problem.ts';
import { labelled, writeCompose } from '../../host/recipe-format/render.ts';
import { LABEL } from '../../domain/labels.ts';
import { secretValue } from '../../host/secrets/ensure.ts';
import { stackDeploy } from '../../host/deploy/docker-hand-over.ts';
import { tooLongElsewhere } from '../../host/secrets/needed.ts';
import { refuseTakenPort } from '../../host/deploy/taken-ports.ts';

let scratch: string;
let checkout: string;

beforeEach(async () => {
  scratch = await mkdtemp(path.join(tmpdir(), 'recipe-format-'));
  checkout = path.join(scratch, 'checkout');
  await mkdir(checkout);
});

afterEach(() => rm(scratch, { recursive: true, force: true }));

type Files = Record<string, string>;

async function write(files: Files): Promise<void> {
  for (const [name, text] of Object.entries({ '.env.sample': 'TYPE=thing\n', ...files })) {
    await mkdir(path.dirname(path.join(checkout, name)), { recursive: true });
    await writeFile(path.join(checkout, name), text);
  }
}

interface Given {
  env?: Record<string, string>;
  allow?: string[];
  /** What stands beside the checkout, in the recipe's folder of ours. */
  folder?: Files;
  lifetime?: 'cold' | 'live';
}

async function prepare(
  files: Files,
  { env = {}, allow = [], folder, lifetime = 'cold' }: Given = {},
): Promise<PreparedRecipe> {
  await write(files);
  const ours = path.join(scratch, 'recipes', 'thing');
  for (const [name, text] of Object.entries(folder ?? {})) {
    await mkdir(ours, { recursive: true });
    await writeFile(path.join(ours, name), text);
  }
  const app = {
    recipe: 'thing',
    checkout,
    domain: 'thing.example.org',
    stack: 'thing_example_org',
    env,
    lifetime,
    settings: { allow, overlay: folder === undefined ? null : path.join(ours, 'overlay.yml') },
  };
  return prepareRecipe(app, { clientVariables: new Set(['LANG', 'PATH']) });
}

/** The service app of a recipe whose compose.yml has these lines under it. */
async function appWith(
  lines: string,
  files: Files = {},
  env: Record<string, string> = {},
  lifetime: 'cold' | 'live' = 'cold',
): Promise<unknown> {
  const indented = lines.replaceAll(/^/gm, '    ');
  const recipe = await prepare(
    { 'compose.yml': `services:\n  app:\n    image: x\n${indented}\n`, ...files },
    { env, lifetime },
  );
  const [file] = recipe.files;
  if (file === undefined) throw new Error('no compose file was read');
  return (file.compose as { services: { app: unknown } }).services.app;
}

async function problemOf(files: Files, given: Given = {}): Promise<string> {
  try {
    await prepare(files, given);
  } catch (error) {
    if (error instanceof RecipeProblem) return error.message;
    throw error;
  }
  throw new Error('expected a problem');
}

describe('.env.sample', () => {
  const read = (text: string, given: Record<string, string> = {}) =>
    parseEnvSample(text, '.env.sample', new Map(Object.entries(given)));
  const valueOf = (text: string, given: Record<string, string> = {}) => read(text, given).values.get('A');

  it.each([
    ['a bare value', 'A=b c', 'b c'],
    ['an empty value', 'A=', ''],
    ['spaces around the equals sign', 'A = b', 'b'],
    ['an export', 'export A=b', 'b'],
    ['a comment after the value', 'A=b # length=3', 'b'],
    ['a comment instead of a value', 'A= # none', ''],
    ['a number sign within a value', 'A=b#c', 'b#c'],
    ['double quotes', 'A="b # c" # d', 'b # c'],
    ['single quotes, which keep everything', "A='$B \\n'", '$B \\n'],
    ['escapes within double quotes', 'A="b\\n\\"c\\" \\$B"', 'b\n"c" $B'],
    ['the backslashes of a value within another', 'B=\'c\\.d\'\nA="$B/x"', 'c\\.d/x'],
    ['several lines in quotes', 'A="b\nc"', 'b\nc'],
    ['a variable of an earlier line', 'B=x\nA=$B/${B}', 'x/x'],
    ['a variable that is not set', 'A=$NONE-', '-'],
    [
      'a line that extends itself',
      'A="compose.yml"\nA="$A:compose.mail.yml"',
      'compose.yml:compose.mail.yml',
    ],
    ['Windows line ends', 'A=b\r\n', 'b'],
    ['a commented line', '#A=c\nA=b\n  # A=d', 'b'],
  ])('reads %s', (_, text, expected) => {
    expect(valueOf(text)).toBe(expected);
  });

  it('reads what we write for abra', () => {
    const value = fc.oneof(
      fc.string({
        unit: fc.constantFrom('a', 'B', '_', ' ', "'", '"', '\\', '\n', '\r', '#', '=', '{', '}', '$'),
      }),
      fc.string(),
    );
    fc.assert(
      fc.property(fc.dictionary(fc.stringMatching(/^[A-Z_][A-Z0-9_]{0,3}$/), value), (written) => {
        const { values } = read(envText(new Map(Object.entries(written))));
        expect(Object.fromEntries(values)).toEqual({ ...written });
      }),
    );
  });

  it('keeps a given value wherever the file assigns, and later lines see it', () => {
    const { values } = read('DOMAIN=sample.example.com\nA=https://${DOMAIN}', { DOMAIN: 'real.example.org' });
    expect(Object.fromEntries(values)).toEqual({ DOMAIN: 'real.example.org', A: 'https://real.example.org' });
  });

  it('reads modifiers after the number sign', () => {
    const { modifiers } = read(
      'SECRET_A_VERSION=v1 # length=32 charset=default,special generate=false\nB=c # a note',
    );
    expect([...(modifiers.get('SECRET_A_VERSION') ?? [])]).toEqual([
      ['length', '32'],
      ['charset', 'default,special'],
      ['generate', 'false'],
    ]);
    expect(modifiers.has('B')).toBe(false);
  });

  it.each([
    ['a line without an equals sign', 'A=b\nhello', '.env.sample:2: is neither NAME=value nor a comment'],
    ['a quote that never closes', 'A="b\nc', '.env.sample:1: the value of A has no closing "'],
    ['text after a quoted value', 'A="b"c', '.env.sample:1: text follows the quoted value of A'],
  ])('refuses %s', (_, text, message) => {
    expect(() => read(text)).toThrow(message);
  });
});

describe('abra.sh', () => {
  it('is read as text, and what only a shell could tell is left out', () => {
    const text = [
      '#!/bin/bash',
      'export APP_VERSION=v4',
      'export QUOTED="v 5" # why',
      "export SINGLE='v6'",
      'export RUN=$(touch /tmp/run)',
      'export TICK=`id`',
      'PLAIN=v1',
      '  export INDENTED=v2',
      'deploy() { export X=1; }',
    ].join('\n');
    expect(Object.fromEntries(parseAbraExports(text))).toEqual({
      APP_VERSION: 'v4',
      QUOTED: 'v 5',
      SINGLE: 'v6',
    });
  });

  it('versions configs, over .env.sample', async () => {
    const recipe = await prepare({
      'abra.sh': 'export CONF_VERSION=v2\n',
      '.env.sample': 'CONF_VERSION=v1\n',
      'conf.tmpl': 'x',
      'compose.yml':
        'services: {app: {image: x}}\nconfigs: {c: {name: "${STACK_NAME}_c_${CONF_VERSION}", file: conf.tmpl}}',
    });
    expect(recipe.files[0]?.compose['configs']).toEqual({
      c: { name: 'thing_example_org_c_v2', file: await realpathOf('conf.tmpl') },
    });
  });
});

async function realpathOf(name: string): Promise<string> {
  const { realpath } = await import('node:fs/promises');
  return realpath(path.join(checkout, name));
}

describe('a compose file', () => {
  it.each([
    ['octals of both spellings', 'a: [0440, 0o440, 010]', { a: [288, 288, 8] }],
    ['yes and no as text', 'a: [yes, no, on, off, y]', { a: ['yes', 'no', 'on', 'off', 'y'] }],
    ['true and false as booleans', 'a: [true, False]', { a: [true, false] }],
    ['yes where a boolean is due', 'read_only: yes\ntty: off', { read_only: true, tty: false }],
    [
      'dates and times as text',
      'a: [2001-01-01, 12:30:45, 22:22]',
      { a: ['2001-01-01', '12:30:45', '22:22'] },
    ],
    ['other numbers', 'a: [0x10, 1_000, 1.50, -3]', { a: [16, 1000, 1.5, -3] }],
    ['null of every spelling', 'a: [null, ~]\nb:', { a: [null, null], b: null }],
    ['anchors and merge keys', 'a: &a {x: 1}\nb: {<<: *a, y: 2}', { a: { x: 1 }, b: { x: 1, y: 2 } }],
    ['numbers as text after interpolation', 'a: ${N}', { a: '3' }],
    [
      'numbers where docker casts',
      'deploy: {replicas: "${N}", placement: {max_replicas_per_node: $N}}',
      { deploy: { replicas: 3, placement: { max_replicas_per_node: 3 } } },
    ],
    [
      'casts in lists',
      'ports: [{target: $N, published: "${N}"}]\nconfigs: [{source: a, mode: "$N"}]',
      { ports: [{ target: 3, published: 3 }], configs: [{ source: 'a', mode: 3 }] },
    ],
    [
      'ulimits of both forms',
      'ulimits: {nproc: $N, nofile: {soft: $N, hard: 4}}',
      { ulimits: { nproc: 3, nofile: { soft: 3, hard: 4 } } },
    ],
    ['booleans where docker casts', 'read_only: ${B}', { read_only: true }],
    [
      'ratios',
      'deploy: {update_config: {max_failure_ratio: "0.$N"}}',
      { deploy: { update_config: { max_failure_ratio: 0.3 } } },
    ],
    ['text that was text, uncast', 'deploy: {replicas: "3"}', { deploy: { replicas: '3' } }],
    ['variables in values, not in keys', '$N: $N', { $N: '3' }],
  ])('is read as docker reads it: %s', async (_, lines, expected) => {
    const files = { '.env.sample': 'N=3\nB=yes\n' };
    expect(await appWith(lines, files)).toEqual({ image: 'x', ...expected });
  });

  it.each<[string, string | Files, string]>([
    ['is no mapping', '- a', 'compose.yml: is not a compose file: no mapping at its top'],
    ['is empty', '', 'compose.yml: is not a compose file'],
    ['is not YAML', 'services: {app: [}', 'compose.yml:1: '],
    [
      'says a key twice',
      'services: {app: {image: x, image: y}}',
      'compose.yml:1: the key image stands there twice',
    ],
    [
      'has a key that is not text',
      'services: {app: {image: x, environment: {1: a}}}',
      'compose.yml:1: the key 1 is not text: quote it',
    ],
    [
      'has a list for a key',
      'services: {app: {image: x, ? [a] : b}}',
      'compose.yml:1: a mapping has a key that is not text',
    ],
    [
      'has an alias bomb',
      `a: &a [x,x,x,x,x,x,x,x,x]\n${'bcdefghi'
        .split('')
        .map((key, i) => `${key}: &${key} [${Array(9).fill(`*${'abcdefgh'[i]}`).join(',')}]`)
        .join('\n')}\nservices: {app: {image: x}}`,
      'compose.yml: Excessive alias count',
    ],
    ['is too large', `services: {app: {image: ${'x'.repeat(300_000)}}}`, 'compose.yml: 300'],
    ['defines no services', 'volumes: {}', 'compose.yml: defines no services'],
    [
      'names a service nobody defines',
      'services: {app: {image: x}, ghost: {environment: []}}',
      'compose.yml:1: services.ghost: has no image in any of the compose files',
    ],
    [
      'has a malformed variable',
      'services: {app: {image: "${X"}}',
      'compose.yml:1: services.app.image: invalid interpolation format: "${X"',
    ],
    [
      'wants a variable that is not set',
      'services: {app: {image: "${X:?set X}"}}',
      'compose.yml:1: services.app.image: required variable X is empty or not set: set X',
    ],
    [
      'has text where a number is due',
      'services: {app: {image: x, deploy: {replicas: "a${X}"}}}',
      'compose.yml:1: services.app.deploy.replicas: must be a whole number, not "a"',
    ],
    [
      'reads a config outside the recipe',
      'services: {app: {image: x}}\nconfigs: {c: {file: ../outside}}',
      'compose.yml:2: configs.c.file: "../outside" lies outside the recipe',
    ],
    [
      'reads a secret file outside it',
      'services: {app: {image: x}}\nsecrets: {c: {file: /etc/passwd}}',
      'compose.yml:2: secrets.c.file: "/etc/passwd" lies outside the recipe',
    ],
    [
      'reads an env_file outside it',
      'services: {app: {image: x, env_file: [../outside]}}',
      'compose.yml:1: services.app.env_file: "../outside" lies outside the recipe',
    ],
    [
      'reads a config that does not exist',
      'services: {app: {image: x}}\nconfigs: {c: {file: none}}',
      'compose.yml:2: configs.c.file: "none" does not exist in the recipe',
    ],
    [
      "reads git's own files",
      { 'compose.yml': 'services: {app: {image: x}}\nconfigs: {c: {file: .git/config}}', '.git/config': 'x' },
      'compose.yml:2: configs.c.file: ".git/config" is git\'s own',
    ],
    [
      'is chosen from outside',
      { '.env.sample': 'COMPOSE_FILE=../outside' },
      '.env.sample:1: COMPOSE_FILE: "../outside" lies outside the recipe',
    ],
    [
      'is chosen but missing',
      {
        '.env.sample': 'COMPOSE_FILE=compose.yml:compose.none.yml',
        'compose.yml': 'services: {app: {image: x}}',
      },
      '.env.sample:1: COMPOSE_FILE: compose.none.yml does not exist in the recipe',
    ],
    ['is a folder', { '.env.sample': 'COMPOSE_FILE=sub', 'sub/x': '' }, 'sub: is not a file'],
  ])('is refused, in one line, when it %s', async (_, files, message) => {
    await writeFile(path.join(scratch, 'outside'), 'secret');
    const said = await problemOf(typeof files === 'string' ? { 'compose.yml': files } : files);
    expect(said.slice(0, message.length)).toBe(message);
    expect(said).not.toContain('\n');
  });

  it.each<[string, (string | number)[], number]>([
    ['a key', ['services', 'app', 'image'], 9],
    ['an item', ['services', 'app', 'volumes', 1], 12],
    ['a key of an item', ['services', 'app', 'volumes', 2, 'source'], 14],
    ['what is merged in', ['services', 'app', 'cap_add', 0], 4],
    ['what an alias stands for', ['services', 'db', 'cap_add', 0], 4],
    ['what a list of merges has', ['services', 'both', 'init'], 5],
    ['what is not there, as what would hold it', ['services', 'app', 'deploy', 'labels'], 7],
    ['an item that is not there', ['services', 'app', 'volumes', 9], 10],
    ['a key with a dot in it', ['services', 'a.b', 'image'], 17],
  ])('knows the line of %s', (_, way, line) => {
    const text = `
x-one: &one
  cap_add:
    - A
x-two: &two {init: true}
services:
  app:
    <<: *one
    image: x
    volumes:
      - a:/a
      - b:/b
      - type: bind
        source: c
        target: /c
  a.b:
    image: y
  db: *one
  both:
    <<: [*one, *two]
`;
    expect(parseCompose(text, 'compose.yml').at(...way)).toEqual({ file: 'compose.yml', line, path: way });
  });

  it('is refused when a symbolic link leads out of the recipe', async () => {
    await writeFile(path.join(scratch, 'outside'), 'services: {app: {image: x}}');
    await symlink('../outside', path.join(checkout, 'compose.yml'));
    expect(await problemOf({})).toBe('.env.sample: COMPOSE_FILE: "compose.yml" lies outside the recipe');
  });

  it('is refused without .env.sample', async () => {
    const settings = { allow: [], overlay: null };
    const app = {
      recipe: 'a',
      checkout,
      domain: 'a.b',
      stack: 'a_b',
      env: {},
      lifetime: 'cold' as const,
      settings,
    };
    await expect(prepareRecipe(app, { clientVariables: new Set() })).rejects.toThrow(
      '.env.sample: the recipe has none',
    );
  });

  it('passes variables on by name from the app alone, never from the client', async () => {
    const files = { '.env.sample': 'KNOWN=yes\nEMPTY=\n' };
    expect(await appWith('environment: [A=1, KNOWN, EMPTY, UNKNOWN, LANG]', files)).toMatchObject({
      environment: ['A=1', 'KNOWN=yes', 'EMPTY=', 'UNKNOWN'],
    });
    expect(await appWith('environment: {A: 1, KNOWN: , UNKNOWN: , PATH: }', files)).toMatchObject({
      environment: { A: 1, KNOWN: 'yes', UNKNOWN: null },
    });
  });

  it('binds folders of the recipe by their absolute path', async () => {
    const root = await realpathOf('.');
    expect(
      await appWith(
        'volumes: ["./d:/d:ro", "data:/data", "/etc/localtime:/e:ro", {type: bind, source: d, target: /x}]',
        { 'd/x': '' },
      ),
    ).toMatchObject({
      volumes: [
        `${root}/d:/d:ro`,
        'data:/data',
        '/etc/localtime:/e:ro',
        { type: 'bind', source: `${root}/d`, target: '/x' },
      ],
    });
  });
});

describe('a variable that stands for a duration', () => {
  const withGrace = (grace: string): Files => ({
    '.env.sample': 'GRACE=5m\n',
    'compose.yml': `services:\n  app:\n    image: x\n    stop_grace_period: ${grace}\n`,
  });

  it.each(['${GRACE}', '${GRACE:-5m}', '"${GRACE}"', '${NUMBER:-5}m'])(
    'is refused as abra refuses it: %s',
    async (grace) => {
      const said = JSON.stringify(grace.replaceAll('"', ''));
      expect(await problemOf(withGrace(grace))).toBe(
        `compose.yml:4: services.app.stop_grace_period: abra asks for a duration before it replaces variables, and refuses ${said}: write it out`,
      );
    },
  );

  it('is for us to write in an overlay, which abra never sees', async () => {
    const { files } = await prepare(withGrace('1m'), {
      folder: { 'overlay.yml': 'services: {app: {stop_grace_period: "${GRACE}"}}' },
    });
    expect(files.at(-1)?.compose).toMatchObject({ services: { app: { stop_grace_period: '5m' } } });
  });
});

describe('a recipe', () => {
  it('sets the domain, the stack and no certificate resolver, and the settings over .env.sample', async () => {
    const sample = 'DOMAIN=sample.example.com\nLETS_ENCRYPT_ENV=production\nTITLE=sample\nOTHER=sample\n';
    expect(
      await appWith(
        'command: "$DOMAIN $STACK_NAME <$LETS_ENCRYPT_ENV> $TITLE $OTHER"',
        { '.env.sample': sample },
        { TITLE: 'ours' },
      ),
    ).toMatchObject({ command: 'thing.example.org thing_example_org <> ours sample' });
  });

  it('leaves a live service the certificate resolver that its people have', async () => {
    const files = { '.env.sample': 'LETS_ENCRYPT_ENV=production\n' };
    expect(await appWith('command: "$LETS_ENCRYPT_ENV"', files, {}, 'live')).toMatchObject({
      command: 'production',
    });
  });

  it('merges the files that COMPOSE_FILE names, as far as it is asked', async () => {
    const recipe = await prepare({
      '.env.sample': 'COMPOSE_FILE="compose.yml"\nCOMPOSE_FILE="$COMPOSE_FILE:db/compose.db.yml"\n',
      'compose.yml': `
services:
  app:
    image: app:1
    deploy:
      labels:
        - "coop-cloud.\${STACK_NAME}.version=1.0.0+1.0"
        - "coop-cloud.\${STACK_NAME}.timeout=\${TIMEOUT:-300}"
        - "a=b=c"
volumes: {data: , given: {external: true, name: "\${STACK_NAME}_given"}}
networks: {proxy: {external: true}, internal: }
`,
      'db/compose.db.yml': `
services:
  app: {deploy: {labels: {a: d}}}
  db: {image: db:2}
volumes: {named: {name: "\${STACK_NAME}_other"}, data: {labels: {x: y}}}
networks: {mail: {external: {name: "\${STACK_NAME}_mail"}}}
`,
    });
    expect(recipe.services.map(({ name, image }) => [name, image])).toEqual([
      ['app', 'app:1'],
      ['db', 'db:2'],
    ]);
    expect(recipe.services[0]?.labels.get('a')).toBe('d');
    expect(recipe).toMatchObject({
      version: '1.0.0+1.0',
      timeoutMs: 300_000,
      volumes: ['thing_example_org_data', 'thing_example_org_other'],
      externalNetworks: ['proxy', 'thing_example_org_mail'],
    });
  });
});

describe('the policy', () => {
  const app = (lines: string, top = ''): Files => ({
    'compose.yml': `services:\n  app:\n    image: x\n${lines.replaceAll(/^/gm, '    ')}\n${top}\n`,
  });

  it.each<[string, Files, string, string]>([
    [
      'a folder of the host',
      app('volumes: ["/srv/media:/m"]'),
      '4: services.app.volumes.0',
      'host-path:/srv/media',
    ],
    [
      'the same, spelt otherwise',
      app('volumes: ["//srv/x/..//media/./:/m"]'),
      '4: services.app.volumes.0',
      'host-path:/srv/media',
    ],
    ['a home folder', app('volumes: ["~/x:/m"]'), '4: services.app.volumes.0', 'host-path:~/x'],
    [
      'the long form',
      app('volumes:\n  - data:/d\n  - {type: bind, source: /srv, target: /m}'),
      '6: services.app.volumes.1',
      'host-path:/srv',
    ],
    [
      'a host folder that calls itself a volume',
      app('volumes: [{type: volume, source: /srv, target: /m}]'),
      '4: services.app.volumes.0',
      'host-path:/srv',
    ],
    [
      'the time zone, to write',
      app('volumes: ["/etc/localtime:/etc/localtime"]'),
      '4: services.app.volumes.0',
      'host-path:/etc/localtime',
    ],
    ['the socket', app('volumes: ["/x/docker.sock:/s"]'), '4: services.app.volumes.0', 'docker-socket'],
    [
      'the socket as a volume',
      app('', 'volumes: {d: {driver_opts: {o: bind, device: /run/docker.sock}}}'),
      '5: volumes.d.driver_opts',
      'docker-socket',
    ],
    [
      'a bind volume',
      app('', 'volumes: {d: {driver_opts: {o: bind, device: /srv/}}}'),
      '5: volumes.d.driver_opts',
      'bind-volume:/srv',
    ],
    [
      'a bind of a relative path in the clothes of a tmpfs',
      app('', 'volumes: {d: {driver_opts: {type: tmpfs, o: "ro,bind", device: etc}}}'),
      '5: volumes.d.driver_opts',
      'bind-volume:etc',
    ],
    [
      'an overlay over the host',
      app('', 'volumes: {d: {driver_opts: {type: overlay, o: "lowerdir=/etc", device: overlay}}}'),
      '5: volumes.d.driver_opts',
      'bind-volume:/etc',
    ],
    [
      'an external volume with a device',
      app('', 'volumes: {d: {external: true, driver_opts: {device: /dev/sda}}}'),
      '5: volumes.d.driver_opts',
      'bind-volume:/dev/sda',
    ],
    [
      'a folder that another driver is given',
      app('', 'volumes: {d: {driver: local-persist, driver_opts: {mountpoint: /srv}}}'),
      '5: volumes.d.driver_opts',
      'bind-volume:/srv',
    ],
    [
      'a bind volume in two files',
      {
        ...app('', 'volumes: {d: {driver_opts: {type: tmpfs, device: etc}}}'),
        '.env.sample': 'COMPOSE_FILE=compose.yml:more.yml\n',
        'more.yml': 'volumes: {d: {driver_opts: {o: bind}}}\n',
      },
      '1: volumes.d.driver_opts',
      'bind-volume:etc',
    ],
    ['every capability', app('cap_add: [ALL]'), '4: services.app.cap_add.0', 'cap-add:ALL'],
    [
      'a capability of the host',
      app('cap_add: [NET_BIND_SERVICE, cap_sys_admin]'),
      '4: services.app.cap_add.1',
      'cap-add:SYS_ADMIN',
    ],
    ['a capability that is none', app('cap_add: [{toString: x}]'), '4: services.app.cap_add.0', 'cap-add:'],
    [
      "the host's network as the mode",
      app('network_mode: host'),
      '4: services.app.network_mode',
      'host-network',
    ],
    [
      "the host's network by its name",
      app('networks: [n]', 'networks: {n: {external: true, name: host}}'),
      '5: networks.n',
      'host-network',
    ],
    [
      "the host's network in the old form",
      app('networks: [n]', 'networks: {n: {external: {name: host}}}'),
      '5: networks.n',
      'host-network',
    ],
    [
      "the host's network by its key",
      app('networks: [host]', 'networks: {host: {external: true}}'),
      '5: networks.host',
      'host-network',
    ],
    [
      "the host's network by its driver",
      app('networks: [n]', 'networks: {n: {driver: host}}'),
      '5: networks.n',
      'host-network',
    ],
    ['a device', app('devices: ["/dev/dri/:/dev/dri:rwm"]'), '4: services.app.devices.0', 'device:/dev/dri'],
    ['privilege', app('privileged: "yes"'), '4: services.app.privileged', 'privileged'],
    ["the host's processes", app('pid: host'), '4: services.app.pid', 'pid-host'],
    ["the host's memory", app('ipc: host'), '4: services.app.ipc', 'ipc-host'],
    [
      'no confinement',
      app('security_opt: ["no-new-privileges:true", "seccomp:unconfined"]'),
      '4: services.app.security_opt.1',
      'security-opt:seccomp:unconfined',
    ],
    [
      "the host's sysctls",
      app('sysctls: [kernel.shmmax=1]'),
      '4: services.app.sysctls.kernel.shmmax',
      'sysctl:kernel.shmmax',
    ],
  ])('refuses %s, unless it is allowed by name', async (_, files, where, name) => {
    const said = await problemOf(files);
    expect(said).toMatch(/^(compose|more)\.yml:/);
    expect(said).toContain(`.yml:${where}: `);
    expect(said).toMatch(/; if it must be so, allow: \[(.*)\] in recipes\/thing\/recipe\.yml$/);
    expect(said).toContain(`allow: [${name}]`);
    const other = await problemOf(files, { allow: ['host-path:/other', 'cap-add'] });
    expect(other).toBe(said);
    if (name === 'bind-volume:/dev/sda') return; // an external one of a foreign name is refused besides
    await expect(prepare(files, { allow: [name] })).resolves.toBeDefined();
  });

  it.each<[string, Files]>([
    ['the time zone, to read', app('volumes: ["/etc/localtime:/l:ro", "/etc/timezone:/t:ro,z"]')],
    ['plain volumes', app('volumes: ["data:/d", /cache]', 'volumes: {data: {driver_opts: {size: 1g}}}')],
    [
      'volumes in memory or on a network',
      app(
        '',
        'volumes: {a: {driver_opts: {type: tmpfs, device: tmpfs}}, b: {driver_opts: {type: nfs, o: "addr=nas,rw", device: ":/x"}}}',
      ),
    ],
    ['harmless capabilities', app('cap_add: [CHOWN, cap_net_bind_service, IPC_LOCK]\ncap_drop: [ALL]')],
    ['sysctls of its own network', app('sysctls: {net.core.somaxconn: 1024}')],
    ['ports, of the host too', app('ports: [{target: 80, published: 8080, mode: host}, "53:53/udp"]')],
    ['more confinement', app('security_opt: ["no-new-privileges:true"]')],
  ])('lets pass %s', async (_, files) => {
    await expect(prepare(files)).resolves.toBeDefined();
  });

  it.each(['/', '/run', '/var/run/', '/var', '/var/run/../run'])(
    'says that the socket lies below %s',
    async (source) => {
      expect(await problemOf(app(`volumes: ["${source}:/h:ro"]`))).toContain(
        "the engine's socket docker.sock with it",
      );
    },
  );

  it('finds each path of a volume, so that one that is allowed lends its name to no other', async () => {
    const overlay =
      'volumes: {d: {driver_opts: {type: overlay, o: "lowerdir=/a:/b,upperdir=/c", device: overlay}}}';
    const allow = ['bind-volume:/a', 'bind-volume:/c'];
    expect(await problemOf(app('', overlay), { allow })).toContain('allow: [bind-volume:/b]');
  });

  it('says the first of several, and each on a line of its own', async () => {
    await expect(
      prepare(app('privileged: true\nvolumes: ["/a:/a", "/b:/b"]'), { allow: ['host-path:/b'] }),
    ).rejects.toMatchObject({
      message:
        'compose.yml:5: services.app.volumes.0: "/a" belongs to the host: use a volume (the first of 2 findings); if it must be so, allow: [host-path:/a] in recipes/thing/recipe.yml',
      lines: [
        expect.any(String),
        expect.stringMatching(/^compose\.yml:4: services\.app\.privileged: .*allow: \[privileged\]/),
      ],
    });
  });

  it('advises nothing that YAML would read as two names', async () => {
    expect(await problemOf(app('volumes: ["/a, docker-socket:/s"]'))).toContain(
      'allow: ["host-path:/a, docker-socket"]',
    );
  });

  it('leaves what is allowed as it is written', async () => {
    const files = app(
      'volumes: ["/srv//media:/m:ro", {type: bind, source: ~/x, target: /x}]\ncap_add: [cap_net_admin]',
    );
    const recipe = await prepare(files, {
      allow: ['host-path:/srv/media', 'host-path:~/x', 'cap-add:NET_ADMIN'],
    });
    expect(recipe.files[0]?.compose['services']).toEqual({
      app: {
        image: 'x',
        volumes: ['/srv//media:/m:ro', { type: 'bind', source: '~/x', target: '/x' }],
        cap_add: ['cap_net_admin'],
      },
    });
  });
});

describe('the ports of the host that a recipe publishes', () => {
  it.each<[string, string, string[]]>([
    ['a target alone, which leaves the choice to docker', '[80, "81/udp"]', []],
    [
      'the short form',
      '["8080:80", 5353:53/udp, "127.0.0.1:8081:80", "[::1]:8082:80"]',
      ['8080/tcp', '5353/udp', '8081/tcp', '8082/tcp'],
    ],
    ['ranges', '["8000-8002:80-82/UDP"]', ['8000/udp', '8001/udp', '8002/udp']],
    [
      'the long form',
      '[{target: 80, published: 8080, mode: host}, {target: 53, published: "53", protocol: udp}, {target: 1}]',
      ['8080/tcp', '53/udp'],
    ],
    ['a port twice', '["80:80", {target: 81, published: 80}]', ['80/tcp']],
    ['what is no port', '["1-99999999:1", "x:y", {published: 1e9}, {published: [1]}, 0, "0:80"]', []],
  ])('are read from %s', async (_, ports, expected) => {
    const recipe = await prepare({ 'compose.yml': `services: {app: {image: x, ports: ${ports}}}` });
    expect(recipe.ports.map(portName)).toEqual(expected);
  });
});

describe('a port of the host that somebody else has', () => {
  it.each([
    "failed to create service a_b: Error response from daemon: rpc error: code = InvalidArgument desc = port '64738' is already in use by service 'mumble_app' (x) as an ingress port",
    'app: task failed: starting container failed: endpoint join on GW Network failed: driver failed programming external connectivity on endpoint gateway (x): Error starting userland proxy: listen tcp4 0.0.0.0:64738: bind: address already in use',
  ])('is no fault of the package', (said) => {
    expect(() => refuseTakenPort('thing_example_org', said)).toThrow(
      expect.objectContaining({ type: 'PortTaken', message: expect.stringMatching(/64738.*in use/) }),
    );
  });

  it('is not what an app says of its own', () => {
    refuseTakenPort('thing_example_org', 'app: task failed: exec: "address already in use": not found');
  });
});

describe('the overlay', () => {
  const files = {
    '.env.sample': 'TITLE=sample\nUP=../secret\n',
    'compose.yml': 'version: "3.8"\nservices: {app: {image: x}}\n',
    'page.html': 'theirs',
  };
  const faultOf = (overlay: string): Promise<unknown> =>
    prepare(files, { folder: { 'overlay.yml': overlay } }).then(
      () => null,
      (error: unknown) => error,
    );

  it('is one more compose file, with the same variables and in the same version', async () => {
    const overlay = `services: {app: {deploy: {labels: {a: "\${TITLE}"}}}, helper: {image: "y:1"}}
configs: {c: {file: page.html, name: "\${STACK_NAME}_c"}}
`;
    const recipe = await prepare(files, { folder: { 'overlay.yml': overlay, 'page.html': 'ours' } });
    expect(recipe.services.map(({ name, image, labels }) => [name, image, labels.get('a')])).toEqual([
      ['app', 'x', 'sample'],
      ['helper', 'y:1', undefined],
    ]);
    const last = recipe.files.at(-1);
    expect(last).toMatchObject({
      name: 'recipes/thing/overlay.yml',
      compose: {
        version: '3.8',
        configs: { c: { file: path.join(scratch, 'recipes', 'thing', 'page.html') } },
      },
    });
    expect(recipe.at('services', 'helper')).toMatchObject({ file: 'recipes/thing/overlay.yml', line: 1 });
  });

  it.each([
    ['is not YAML', 'services: {', 'recipes/thing/overlay.yml:1: '],
    [
      'reads outside its folder',
      'configs:\n  c: {file: ../../checkout/page.html}',
      'recipes/thing/overlay.yml:2: configs.c.file: "../../checkout/page.html" lies outside recipes/thing',
    ],
    [
      "reads outside its folder because of the recipe's variables",
      'secrets: {s: {file: "${UP}"}}',
      'recipes/thing/overlay.yml:1: secrets.s.file: "../secret" lies outside recipes/thing',
    ],
    [
      'asks for what is not allowed',
      'services: {app: {cap_add: [ALL]}}',
      'recipes/thing/overlay.yml:1: services.app.cap_add.0: the capability ALL reaches the whole host; if it must be so, allow: [cap-add:ALL] in recipes/thing/recipe.yml',
    ],
    [
      'says the image of a service that the recipe has',
      'services: {app: {image: "x:old"}}',
      "recipes/thing/overlay.yml:1: services.app.image: is the release's to say",
    ],
    [
      'speaks of a service that the recipe does not have',
      'services: {web: {environment: [A=1]}}',
      'recipes/thing/overlay.yml:1: services.web: has no image in any of the compose files',
    ],
  ])('is no fault of the package when it %s', async (_, overlay, message) => {
    await writeFile(path.join(scratch, 'secret'), 'of the host');
    expect(await faultOf(overlay)).toMatchObject({
      name: 'Fault',
      type: 'BadConfig',
      message: expect.stringContaining(message),
    });
  });
});

describe('the commands that follow a deployment', () => {
  const recipe = (env: string, abraSh = 'migrate() { :; }\nset_admin() { :; }\n'): Files => ({
    'compose.yml': 'services:\n  app:\n    image: x\n  db:\n    image: y\n',
    '.env.sample': `DOMAIN=thing.example.com\n${env}\n`,
    'abra.sh': abraSh,
  });

  it('are those of the occasion, in their order, with their arguments as they are written', async () => {
    const { post } = await prepare(
      recipe(
        `POST_DEPLOY_CMDS="app set_admin a@$DOMAIN  'b c'|db migrate"\nPOST_UPGRADE_CMDS="db migrate --all"`,
      ),
    );
    expect(post('deploy')?.commands).toEqual([
      { service: 'app', call: "set_admin a@thing.example.org  'b c'" },
      { service: 'db', call: 'migrate' },
    ]);
    expect(post('upgrade')?.commands).toEqual([{ service: 'db', call: 'migrate --all' }]);
    expect(post('upgrade')?.abraSh).toContain('migrate() {');
  });

  it('are none where the env has none, or recipe.yml says so', async () => {
    const { post } = await prepare(recipe('POST_DEPLOY_CMDS='));
    expect([post('deploy'), post('upgrade')]).toEqual([null, null]);
    const given = { env: { POST_DEPLOY_CMDS: '' } };
    const other = await prepare(recipe('POST_DEPLOY_CMDS="app migrate"'), given);
    expect(other.post('deploy')).toBeNull();
  });

  it.each([
    ['of a service that the recipe does not have', 'web migrate', 'the recipe has no service "web"'],
    ['of a service alone', 'app', '"app" is not "<service> <command> <arguments>"'],
    ['that ends with a bar', 'app migrate|', '"" is not "<service>'],
    ['with a blank behind a bar', 'app migrate | db migrate', 'the recipe has no service ""; no blank may'],
    ['that abra.sh does not have', 'app migrant', '"app migrant": abra.sh has no "migrant"'],
  ])('are wrong: one %s', async (_, written, expected) => {
    const { post } = await prepare(recipe(`POST_UPGRADE_CMDS="${written}"`));
    expect(post('deploy')).toBeNull();
    expect(() => post('upgrade')).toThrow(RecipeProblem);
    expect(() => post('upgrade')).toThrow('.env.sample:2: POST_UPGRADE_CMDS: ');
    expect(() => post('upgrade')).toThrow(expected);
  });

  it('are wrong without an abra.sh', async () => {
    const { 'abra.sh': _, ...without } = recipe('POST_DEPLOY_CMDS="app migrate"');
    const { post } = await prepare(without);
    expect(() => post('deploy')).toThrow('the recipe has no abra.sh');
  });
});

describe("a recipe's secrets", () => {
  const compose = (names: string[]): string =>
    `services: {app: {image: x, secrets: [${names.join(', ')}]}}\nsecrets:\n${names
      .map(
        (name) =>
          `  ${name}: {external: true, name: "\${STACK_NAME}_${name}_\${SECRET_${name.toUpperCase()}_VERSION}"}`,
      )
      .join(
        '\n',
      )}\n  unused: {external: true, name: "\${STACK_NAME}_unused_v1"}\n  filed: {file: compose.yml}`;

  it('are those that services use, made as .env.sample says', async () => {
    const { secrets } = await prepare({
      '.env.sample':
        'SECRET_A_VERSION=v1 # length=32\nSECRET_B_VERSION=v2\nSECRET_C_VERSION=v1 # length=8 charset=hex generate=false\n',
      'compose.yml': compose(['a', 'b', 'c']),
    });
    expect(secrets.map(({ name, length, generate }) => [name, length, generate])).toEqual([
      ['thing_example_org_a_v1', 32, true],
      ['thing_example_org_b_v2', null, true],
      ['thing_example_org_c_v1', 8, false],
    ]);
    expect(secrets[2]?.alphabet).toBe('0123456789abcdef');
  });

  it.each([
    [
      'one has no version',
      'X=1',
      'compose.yml:3: secrets.a: ${STACK_NAME}_a_${SECRET_A_VERSION} has no version: .env.sample sets none',
    ],
    [
      'a length is no number',
      'SECRET_A_VERSION=v1 # length=many',
      '.env.sample:1: SECRET_A_VERSION: length=many is not a number from 1 to 4096',
    ],
    [
      'a charset is unknown',
      'SECRET_A_VERSION=v1 # length=3 charset=emoji',
      '.env.sample:1: SECRET_A_VERSION: charset=emoji is unknown; known: default, special, safespecial, hex',
    ],
    [
      'a name is too long',
      `SECRET_A_VERSION=v${'1'.repeat(64)}`,
      `compose.yml:3: secrets.a: thing_example_org_a_v${'1'.repeat(64)} is longer than docker's 64 characters`,
    ],
  ])('are refused when %s', async (_, sample, message) => {
    expect(await problemOf({ '.env.sample': sample, 'compose.yml': compose(['a']) })).toBe(message);
  });

  it('may have a name of 64 characters, and none of 65', async () => {
    const named = (length: number) => ({
      '.env.sample': `SECRET_A_VERSION=${'v'.repeat(length - 'thing_example_org_a_'.length)}`,
      'compose.yml': compose(['a']),
    });
    expect((await prepare(named(64))).secrets[0]?.name).toHaveLength(64);
    expect(await problemOf(named(65))).toContain("longer than docker's 64 characters");
  });

  it('have values of the length and characters asked for, or the form of a passphrase', () => {
    expect(secretValue({ length: 40, alphabet: 'abc' })).toMatch(/^[abc]{40}$/);
    expect(secretValue({ length: null, alphabet: 'abc' })).toMatch(/^([a-z]{6}-){5}[a-z]{6}$/);
  });
});

describe('the compose files that docker is given', () => {
  const objects = { [LABEL.zone]: 'zone', [LABEL.recipe]: 'thing', [LABEL.lifetime]: 'cold' } as const;
  const services = { [LABEL.run]: 'run-1', [LABEL.deployment]: 'd-1' } as const;
  const render = (...compose: ComposeFile['compose'][]): unknown[] =>
    labelled(
      compose.map((one, number) => ({ name: `${number}.yml`, compose: one })),
      objects,
      services,
      { app: 'app:1@sha256:aa' },
    ).map((file) => file.compose);

  it('carry our labels on all that a deployment makes, and the digest of each image', () => {
    expect(
      render({
        services: {
          app: { image: 'app:1', labels: { own: 'a' }, deploy: { labels: ['own=b'] } },
          db: { image: 'db:1' },
        },
        volumes: { data: null, given: { external: true } },
        networks: { proxy: { external: true }, internal: { labels: ['own=c'] } },
        configs: { c: { file: '/c' } },
        secrets: { s: { file: '/s' }, t: { external: true } },
      }),
    ).toEqual([
      {
        services: {
          app: {
            image: 'app:1@sha256:aa',
            labels: { own: 'a', ...objects },
            deploy: {
              labels: [
                'own=b',
                `${LABEL.zone}=zone`,
                `${LABEL.recipe}=thing`,
                `${LABEL.lifetime}=cold`,
                `${LABEL.run}=run-1`,
                `${LABEL.deployment}=d-1`,
              ],
            },
          },
          db: { image: 'db:1', labels: objects, deploy: { labels: { ...objects, ...services } } },
        },
        volumes: { data: { labels: objects }, given: { external: true } },
        networks: {
          proxy: { external: true },
          internal: {
            labels: ['own=c', ...Object.entries(objects).map(([name, value]) => `${name}=${value}`)],
          },
          default: { labels: objects },
        },
        configs: { c: { file: '/c', labels: objects } },
        secrets: { s: { file: '/s', labels: objects }, t: { external: true } },
      },
    ]);
  });

  it('have our labels once, whatever the recipe says of them', () => {
    const files = labelled(
      [
        {
          name: 'compose.yml',
          compose: { services: { app: { image: 'x', deploy: { labels: ['a=b', 'recipe-sweep.zone=z'] } } } },
        },
      ],
      objects,
      services,
      {},
    );
    const [app] = Object.values(files[0]?.compose['services'] as Record<string, unknown>);
    const { labels } = (app as { deploy: { labels: string[] } }).deploy;
    expect(labels.filter((label) => label.startsWith('recipe-sweep.zone'))).toHaveLength(1);
    expect(labels).toContain('a=b');
  });

  it('leave alone what any of them says lies outside', () => {
    expect(
      render(
        { services: {}, networks: { proxy: { external: true }, default: null } },
        { networks: { proxy: null } },
      ),
    ).toEqual([
      { services: {}, networks: { proxy: { external: true }, default: { labels: objects } } },
      { networks: { proxy: null } },
    ]);
  });

  it('say every dollar sign twice and quote text, so that it is read as it was meant', async () => {
    const compose = {
      a: '$HOME ${X} $$',
      b: ['yes', '0440', '12:30', '2001-01-01', '~'],
      c: { on: 1, d: 288 },
    };
    const [file] = await writeCompose([{ name: 'sub/a b,c.yml', compose }], scratch);
    expect(file).toBe('deployed-1-a_b_c.yml');
    const text = await readFile(path.join(scratch, file ?? ''), 'utf8');
    for (const version of ['1.1', '1.2'] as const) {
      expect(parse(text, { version })).toEqual({ ...compose, a: '$$HOME $${X} $$$$' });
    }
  });

  it('are named to the client one by one, with what both old and new clients know', () => {
    expect(stackDeploy('thing_example_org', ['deployed-1-compose.yml', 'deployed-2-compose.db.yml'])).toEqual(
      [
        'stack',
        'deploy',
        '--resolve-image',
        'never',
        '--compose-file',
        'deployed-1-compose.yml',
        '--compose-file',
        'deployed-2-compose.db.yml',
        '--',
        'thing_example_org',
      ],
    );
  });
});

describe("the app's env", () => {
  const env = new Map([
    ['TYPE', 'thing'],
    ['DOMAIN', 'thing.example.org'],
    ['A', '$1'],
    ['B', 'of env'],
  ]);
  const release = { recipe: 'thing', version: '1.2.0+1' };
  const exposed = (...files: Record<string, unknown>[]): unknown[] =>
    withExposedEnv(
      files.map((services, index) => ({ name: `${index}.yml`, compose: { services } })),
      env,
      release,
    ).map(({ compose }) => compose['services']);

  it('is in the environment of the service app, under what stands there', () => {
    expect(exposed({ app: { image: 'x', environment: ['B=own', 'NONE'] }, db: { image: 'y' } })).toEqual([
      {
        app: {
          image: 'x',
          environment: ['TYPE=thing:1.2.0+1', 'DOMAIN=thing.example.org', 'A=$1', 'B=own', 'NONE'],
        },
        db: { image: 'y' },
      },
    ]);
    expect(exposed({ app: { environment: { B: null } } })).toEqual([
      { app: { environment: { TYPE: 'thing:1.2.0+1', DOMAIN: 'thing.example.org', A: '$1', B: null } } },
    ]);
  });

  it('is under what a later file says too, and nowhere without a service app', () => {
    const later = { app: { environment: ['B=later', 'A=later'] } };
    expect(exposed({ db: {} }, { app: { image: 'x' } }, later)).toEqual([
      { db: {} },
      { app: { image: 'x', environment: { TYPE: 'thing:1.2.0+1', DOMAIN: 'thing.example.org' } } },
      later,
    ]);
    expect(exposed({ web: {} })).toEqual([{ web: {} }]);
  });
});

describe('what an operator would have after abra app new', () => {
  const COMPOSE = {
    'compose.yml':
      'services:\n  app:\n    image: nginx:1\n    environment: ["OWN=${OWN}", "SANDBOX=${SANDBOX}", "OTHER=${OTHER}", "GIVEN=${GIVEN}"]\n',
    '.env.sample':
      'TYPE=thing\nDOMAIN=thing.example.com\nOWN=https://thing.example.com/x\nSANDBOX=sandbox.thing.example.com\nOTHER=other.example.com\nGIVEN=\n',
  };

  it('has its own domain wherever the sample has <recipe>.example.com, and below it', async () => {
    const { files } = await prepare(COMPOSE);
    expect(JSON.stringify(files)).toContain('OWN=https://thing.example.org/x');
    expect(JSON.stringify(files)).toContain('SANDBOX=sandbox.thing.example.org');
    expect(JSON.stringify(files)).toContain('OTHER=other.example.com');
  });

  it('has it where recipe.yml says ${DOMAIN}, and nothing else expanded', async () => {
    const { files } = await prepare(COMPOSE, {
      env: { GIVEN: '${DOMAIN}, ${STACK_NAME}, $DOMAIN, ${PATH}' },
    });
    expect(JSON.stringify(files)).toContain('GIVEN=thing.example.org, thing_example_org, $DOMAIN, ${PATH}');
  });
});

it('a name of ours that is longer at the warm domain is found before the cold test', () => {
  const cold = 'matr-abc123_ci_example_org';
  const secrets = [{ name: `${cold}_form_secret_v1` }, { name: 'shared_v1' }];
  expect(tooLongElsewhere(secrets, cold, 'warm-matrix-synapse_ci_example_org')).toBeNull();
  const warm = `warm-matrix-synapse_${'x'.repeat(40)}_org`;
  expect(tooLongElsewhere(secrets, cold, warm)).toBe(`${warm}_form_secret_v1`);
});
