import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { prepareRecipe, type PreparedRecipe } from '../../host/recipe-format.ts';
import { parseCompose, type ComposeFile } from '../../host/recipe-format/compose.ts';
import { parseAbraExports, parseEnvSample } from '../../host/recipe-format/env.ts';
import { RecipeProblem } from '../../host/recipe-format/problem.ts';
import { LABEL, labelled, writeCompose } from '../../host/recipe-format/render.ts';
import { secretValue } from '../../host/secrets.ts';
import { stackDeploy } from '../../host/swarm-deployer.ts';

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

async function prepare(files: Files, env: Record<string, string> = {}): Promise<PreparedRecipe> {
  await write(files);
  const app = { checkout, domain: 'thing.example.org', stack: 'thing_example_org', env };
  return prepareRecipe(app, { clientVariables: new Set(['LANG', 'PATH']) });
}

/** The service app of a recipe whose compose.yml has these lines under it. */
async function appWith(lines: string, files: Files = {}, env: Record<string, string> = {}): Promise<unknown> {
  const indented = lines.replaceAll(/^/gm, '    ');
  const recipe = await prepare(
    { 'compose.yml': `services:\n  app:\n    image: x\n${indented}\n`, ...files },
    env,
  );
  const [file] = recipe.files;
  if (file === undefined) throw new Error('no compose file was read');
  return (file.compose as { services: { app: unknown } }).services.app;
}

async function problemOf(files: Files): Promise<string> {
  try {
    await prepare(files);
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
    const app = { checkout, domain: 'a.b', stack: 'a_b', env: {} };
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
        '--prune',
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
