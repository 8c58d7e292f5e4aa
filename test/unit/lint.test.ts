import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { LINT_RULES, lintCheckout } from '../../host/prepare/lint.ts';

/** The rules of good recipes, each on a recipe that breaks that one alone. */

let checkout: string;

beforeEach(async () => {
  checkout = await mkdtemp(path.join(tmpdir(), 'lint-'));
});

afterEach(() => rm(checkout, { recursive: true, force: true }));

const VERSION = '1.2.0+v3';

const GOOD = {
  'README.md': '# Thing\n',
  '.env.sample': 'DOMAIN=thing.example.com\nSECRET_KEY_VERSION=v1\n',
  'abra.sh': 'export CONF_VERSION=v1\n',
  [`release/${VERSION}`]: 'Nothing to do.\n',
  'conf.tmpl': 'x',
  'compose.yml': `version: '3.8'
services:
  app:
    image: thing:v3-alpine
    healthcheck: {test: ['CMD', 'true']}
    secrets: [key]
    deploy:
      labels:
        - traefik.enable=true
        - coop-cloud.\${STACK_NAME}.version=${VERSION}
configs:
  conf:
    name: \${STACK_NAME}_conf_\${CONF_VERSION}
    file: conf.tmpl
secrets:
  key: {external: true, name: "\${STACK_NAME}_key_\${SECRET_KEY_VERSION}"}
`,
};

/** The files of the good recipe, each changed as said; null takes one away. */
type Changes = Record<string, string | null | ((good: string) => string)>;

async function lint(changes: Changes, version: string | null = VERSION): Promise<string[]> {
  for (const name of new Set([...Object.keys(GOOD), ...Object.keys(changes)])) {
    const good = (GOOD as Record<string, string>)[name] ?? '';
    const change = changes[name];
    const text = typeof change === 'function' ? change(good) : change === undefined ? good : change;
    if (text === null) continue;
    await mkdir(path.dirname(path.join(checkout, name)), { recursive: true });
    await writeFile(path.join(checkout, name), text);
  }
  const domain = 'thing.example.org';
  const lifetime = 'cold';
  const app = {
    recipe: 'thing',
    checkout,
    domain,
    stack: 'thing_example_org',
    env: {},
    version,
    lifetime,
  } as const;
  const problems = await lintCheckout(app);
  return problems.map(({ rule, file, line, what }) => `${rule} ${file}:${line ?? '-'} ${what}`);
}

const compose = (from: string | RegExp, to: string): Changes => ({
  'compose.yml': (good) => good.replace(from, to),
});
const image = (name: string): Changes => compose('thing:v3-alpine', name);

const WEB = "  web:\n    image: nginx:1.26\n    healthcheck: {test: ['CMD', 'true']}\n";

describe('a good recipe', () => {
  it.each<[string, Changes]>([
    ['as it is', {}],
    ['with an image of a registry with a port', image('registry.example.org:5000/thing:2024.06')],
    ['with an image by its digest', image(`thing@sha256:${'a'.repeat(64)}`)],
    ['whose tag is a variable', { ...image('thing:${TAG}'), '.env.sample': 'TAG=1.0\n' }],
    ['with a secret whose name docker just takes', compose('_key_', `_${'k'.repeat(43)}_`)],
    ['without a domain and traefik', { ...compose('traefik.enable=true', 'a=b'), '.env.sample': 'A=b\n' }],
    [
      'that publishes a port instead',
      {
        'compose.yml': (good) =>
          good.replace('traefik.enable=true', 'a=b').replace('secrets: [key]', 'ports: ["64738:64738"]'),
      },
    ],
    [
      'with traefik before another service',
      {
        'compose.yml': (good) =>
          good
            .replace('traefik.enable=true', 'a=b')
            .replace('configs:', `${WEB}    deploy: {labels: {traefik.enable: true}}\nconfigs:`),
      },
    ],
    [
      'with a variable where any text will do, and a dollar sign where none is',
      compose('deploy:', "environment: {A: '${B:-c}'}\n    deploy:\n      mode: ${MODE:-replicated}"),
    ],
    [
      'whose files complete each other',
      {
        ...compose("    healthcheck: {test: ['CMD', 'true']}\n", ''),
        '.env.sample': 'COMPOSE_FILE=compose.yml:more.yml\n',
        'more.yml': "version: '3.8'\nservices: {app: {healthcheck: {test: [CMD, 'true']}}}\n",
      },
    ],
  ])('has no problems: %s', async (_, changes) => {
    expect(await lint(changes)).toEqual([]);
  });

  it('needs neither label nor notes for a commit that no tag names', async () => {
    const changes = { [`release/${VERSION}`]: null, ...compose(/version=.*/, 'version=0') };
    expect(await lint(changes, null)).toEqual([]);
  });
});

describe('the labels of its backup', () => {
  const backup = (labels: string[], volumes: string[], other = ''): Changes => ({
    'compose.yml': (good) =>
      good
        .replace('traefik.enable=true', ['traefik.enable=true', ...labels].join('\n        - '))
        .replace('secrets: [key]', `secrets: [key]\n    volumes: ${JSON.stringify(volumes)}`)
        .replace('configs:', `${other}configs:`),
  });
  const ON = 'backupbot.backup=true';
  const PATH = 'backupbot.backup.path=/srv/data/dump,/etc/thing';
  const again = `${WEB}    deploy: {labels: {backupbot.backup: 'true'}}\n`;

  it('name paths on volumes', async () => {
    expect(await lint(backup([ON, PATH], ['data:/srv/data', 'conf:/etc/thing/conf:ro']))).toEqual([]);
    expect(await lint(backup([ON, PATH], ['data:/srv/data']))).toEqual([
      'backup-path-off-volume compose.yml:12 services.app.deploy.labels.2: /etc/thing is on no volume: it is never archived',
    ]);
  });

  it('turn it on once, but for the older form, where each service answers for itself', async () => {
    expect(await lint(backup([ON], [], again))).toEqual([
      expect.stringMatching(
        /^backup-twice compose.yml:\d+ services.web.deploy.labels\S*: another service has it already$/,
      ),
    ]);
    expect(await lint(backup([ON, PATH], ['a:/srv/data', 'b:/etc/thing'], again))).toEqual([]);
  });
});

describe('a recipe has a problem', () => {
  it.each<[string, Changes, string]>([
    ['without a README', { 'README.md': null }, 'readme-missing README.md:- '],
    [
      'without release notes',
      { [`release/${VERSION}`]: null },
      `release-notes-missing release/${VERSION}:- `,
    ],
    ['without .env.sample', { '.env.sample': null }, 'env-sample-missing .env.sample:- '],
    ['whose compose file cannot be read', { 'compose.yml': 'services: {' }, 'unreadable compose.yml:1 '],
    ['without a service app', compose('app:', 'thing:'), 'app-missing compose.yml:2 services: no service'],
    [
      'without a version',
      compose("version: '3.8'\n", ''),
      'schema-version-missing compose.yml:- says no version',
    ],
    [
      'without a version label',
      compose(/- coop-cloud.*/, '- a=b'),
      `version-label-wrong compose.yml:8 services.app.deploy.labels: no label coop-cloud.\${STACK_NAME}.version=${VERSION}`,
    ],
    [
      'with the label of another version',
      compose(`version=${VERSION}`, 'version=1.1.0+v2'),
      `version-label-wrong compose.yml:10 services.app.deploy.labels.1: says 1.1.0+v2, and the release is ${VERSION}`,
    ],
    [
      'with the label of another version in the other form',
      compose(
        /labels:[^]*?configs/,
        `labels: {traefik.enable: true, coop-cloud.thing_example_org.version: 1}\nconfigs`,
      ),
      'version-label-wrong compose.yml:8 services.app.deploy.labels.coop-cloud.thing_example_org.version: says 1,',
    ],
    [
      'that nobody finds at its domain',
      compose('traefik.enable=true', 'traefik.enable=false'),
      'traefik-disabled compose.yml:8 services.app.deploy.labels: no service has traefik.enable=true',
    ],
    [
      'that waits for a service which it does not have',
      compose('secrets: [key]', 'secrets: [key]\n    depends_on: [app, discourse]'),
      'dependency-undefined compose.yml:7 services.app.depends_on: "discourse" is no service',
    ],
    [
      'that does so in the other form',
      compose('secrets: [key]', 'secrets: [key]\n    depends_on: {db: {condition: service_started}}'),
      'dependency-undefined compose.yml:7 services.app.depends_on: "db" is no service',
    ],
    [
      'without a healthcheck',
      compose('configs:', `${WEB.replace(/ +healthcheck.*\n/, '')}configs:`),
      'healthcheck-missing compose.yml:11 services.web: has no healthcheck',
    ],
    [
      'with a healthcheck that is turned off',
      compose("{test: ['CMD', 'true']}", '{disable: true}'),
      'healthcheck-missing compose.yml:5 services.app.healthcheck: is turned off',
    ],
    [
      'with an image without a tag',
      image('registry:5000/thing'),
      'image-tag-missing compose.yml:4 services.app.image: ',
    ],
    ['with an image of a tag that is not set', image('thing:${NONE}'), 'image-tag-missing compose.yml:4 '],
    [
      'with latest',
      image('thing:latest'),
      'image-tag-unstable compose.yml:4 services.app.image: "thing:latest"',
    ],
    ['with stable on something', image('thing:stable-alpine'), 'image-tag-unstable compose.yml:4 '],
    ['with a name for a version', image('thing:bookworm'), 'image-tag-without-version compose.yml:4 '],
    [
      'with a config without a name',
      compose(/ {4}name: .*\n/, ''),
      'config-unversioned compose.yml:12 configs.conf.name: has no name',
    ],
    [
      'with a config without a version',
      compose('_${CONF_VERSION}', ''),
      'config-unversioned compose.yml:13 configs.conf.name: "${STACK_NAME}_conf" has no version',
    ],
    [
      'whose abra.sh does not know the version',
      { 'abra.sh': '', '.env.sample': (good) => `${good}CONF_VERSION=v1\n` },
      'config-unversioned compose.yml:13 ',
    ],
    [
      'with a secret of a long name',
      compose('_key_', `_${'k'.repeat(44)}_`),
      `secret-name-too-long compose.yml:16 secrets.key: thing_example_org_${'k'.repeat(44)}_v1 has 65 characters`,
    ],
    [
      'with a variable for a duration, whatever its default',
      compose("{test: ['CMD', 'true']}", "{test: ['CMD', 'true'], start_period: '${START:-5m}'}"),
      'variable-too-early compose.yml:5 services.app.healthcheck.start_period: abra asks for a duration before it replaces variables, and refuses "${START:-5m}": write it out',
    ],
    [
      'with a variable for a number',
      compose('deploy:', 'deploy:\n      replicas: ${REPLICAS:-1}'),
      'variable-too-early compose.yml:8 services.app.deploy.replicas: abra asks for a whole number before',
    ],
    [
      'with a variable in a port',
      compose('deploy:', "ports: ['${SSH_PORT:-22}:22']\n    deploy:"),
      'variable-too-early compose.yml:7 services.app.ports.0: abra asks for ports before',
    ],
  ])('%s', async (_, changes, expected) => {
    const found = await lint(changes);
    expect(found).toHaveLength(1);
    expect(found[0]?.slice(0, expected.length)).toBe(expected);
  });

  it('and each is found beside the others', async () => {
    const found = await lint({ 'README.md': null, 'abra.sh': '', ...image('thing:latest') });
    expect(found.map((line) => line.split(' ')[0])).toEqual([
      'readme-missing',
      'image-tag-unstable',
      'config-unversioned',
    ]);
  });

  it('where a link leads out of the checkout', async () => {
    await symlink('/etc/passwd', path.join(checkout, 'README.md'));
    expect(await lint({ 'README.md': null })).toHaveLength(1);
  });
});

describe('a service on the network proxy', () => {
  const FRONT = `${WEB}    networks: [proxy, internal]
    environment: {A: b}
    configs: [conf]
networks: {proxy: {external: true}, internal: {}}
`;
  const front = (from: string, to: string, conf = 'x'): Changes => ({
    ...compose('configs:\n', `${FRONT.replace(from, to)}configs:\n`),
    'conf.tmpl': conf,
  });
  const place = (at: string): RegExp => new RegExp(`^shared-name compose.yml:\\d+ ${at}: "`);

  it.each<[string, Changes, RegExp]>([
    ['in its environment', front('{A: b}', '{UPSTREAM: "http://app/x"}'), place('services.web.environment')],
    ['in the other form', front('{A: b}', '["UPSTREAM=app:3000"]'), place('services.web.environment')],
    [
      'in a command',
      front('environment: {A: b}', 'command: [proxy, "app:80"]'),
      place('services.web.command'),
    ],
    ['in a config', front('', '', 'reverse_proxy app:3000\n'), place('configs.conf.file')],
    [
      'in a config that is mounted by its long form',
      front('[conf]', '[{source: conf, target: /c}]', 'server app:3000;\n'),
      place('configs.conf.file'),
    ],
  ])('asks for app: %s', async (_, changes, expected) => {
    expect(await lint(changes)).toEqual([expect.stringMatching(expected)]);
  });

  it.each<[string, Changes]>([
    ["asks by its stack's name", front('', '', 'reverse_proxy {{ env "STACK_NAME" }}_app:3000\n')],
    ['asks for a name that only begins so', front('', '', 'http://app.example.org http://apps app-db:1\n')],
    ['asks for what a variable of that name says', front('', '', 'proxy_pass http://$app:8008;\n')],
    ['asks for another service', front('', '', 'reverse_proxy db:3000\n')],
    ['is not on it', front('[proxy, internal]', '[internal]', 'reverse_proxy app:3000\n')],
    ['does not have the config', front('    configs: [conf]\n', '', 'reverse_proxy app:3000\n')],
    [
      'is app itself',
      compose('secrets:', 'networks: [proxy]\n    environment: {A: "http://app"}\n    secrets:'),
    ],
  ])('has no problem: it %s', async (_, changes) => {
    expect(await lint(changes)).toEqual([]);
  });
});

describe('the documentation', () => {
  it('has every rule as the code has it', async () => {
    const docs = await readFile(path.resolve(import.meta.dirname, '../../docs/recipes.md'), 'utf8');
    const rows = [...docs.matchAll(/^\| `([a-z-]+)` +\| (.*?) +\|$/gm)].map(([, rule, what]) => [rule, what]);
    expect(rows).toEqual(expect.arrayContaining(Object.entries(LINT_RULES)));
  });
});
