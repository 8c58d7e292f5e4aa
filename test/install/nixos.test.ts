import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { TOOLS } from '../../host/config/environment.ts';
import { recipeTools } from '../../host/recipe-tools.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { optionsOf } from '../../setup/nix/options.ts';
import { openNixStore, type NixStore } from './nix-store.ts';
import { verifyUnits } from './unit-judge.ts';

/** The hosts that nix/module.nix comes to, with a stand-in for nixpkgs. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const COMMAND = path.join(ROOT, 'bin/recipe-sweep');

type Setting = string | number | boolean;
interface Unit {
  description: string;
  wantedBy?: string[];
  wants?: string[];
  after?: string[];
  before?: string[];
  unitConfig?: Record<string, Setting | Setting[]>;
  serviceConfig: Record<string, Setting | Setting[]>;
}
interface Host {
  services: Record<string, Unit>;
  tmpfiles: string[];
  refused: string[];
  settings: Record<string, unknown>;
  temporal: { persistence?: { datastores: Record<string, { sql: Record<string, unknown> }> } };
  authentication: string;
  ensureDatabases: string[];
}

let nix: NixStore;
let folder: string;
beforeAll(async () => {
  nix = await openNixStore();
  ({ folder } = nix);
});
afterAll(async () => {
  await nix.remove();
});

/** What a host comes to whose modules have these bodies. */
async function evaluated(...bodies: string[]): Promise<{ host: Host; error: string }> {
  const file = path.join(folder, 'configuration.nix');
  const modules = bodies.map((body) => `{\n${body}\n}`);
  await writeFile(file, `{ pkgs, ... }: { imports = [\n${modules.join('\n')}\n]; }\n`);
  const { value, error } = await nix.evaluate(path.join(import.meta.dirname, 'host.nix'), {
    files: { host: file },
    texts: { store: path.join(folder, 'store') },
  });
  return { host: (value ?? {}) as Host, error };
}

/** As NixOS writes a unit file. */
function rendered(unit: Unit): string {
  const lines = (settings: Record<string, Setting | Setting[] | undefined>): string[] =>
    Object.entries(settings).flatMap(([name, value]) =>
      [value ?? []].flat().map((each) => `${name}=${String(each)}`),
    );
  const { description, wants = [], after = [], before = [], wantedBy = [] } = unit;
  return [
    '[Unit]',
    ...lines({ Description: description, Wants: wants, After: after, Before: before, ...unit.unitConfig }),
    '[Service]',
    ...lines(unit.serviceConfig),
    '[Install]',
    ...lines({ WantedBy: wantedBy }),
    '',
  ].join('\n');
}

/** What systemd finds wrong with a host's units, with the scripts in them where nix put them. */
async function judged({ services }: Host): Promise<string> {
  const units = path.join(folder, 'units');
  await rm(units, { recursive: true, force: true });
  await mkdir(units);
  const names = Object.keys(services).map((name) => `${name}.service`);
  for (const [name, unit] of Object.entries(services)) {
    const text = rendered(
      // Ours are additions to a unit of NixOS.
      name === 'temporal'
        ? { ...unit, description: name, serviceConfig: { ExecStart: '/bin/true', ...unit.serviceConfig } }
        : unit,
    );
    await writeFile(
      path.join(units, `${name}.service`),
      text.replaceAll('=/nix/store/', `=${folder}/scripts/`),
    );
  }
  return verifyUnits(units, names);
}

/** What the command says of a host's configuration. */
async function configCheck({ settings }: Host): Promise<string> {
  const file = path.join(folder, 'recipe-sweep.yml');
  await writeFile(file, JSON.stringify(settings));
  const { all } = await execa(process.execPath, [COMMAND, 'config', 'check', '--config', file], {
    all: true,
    reject: false,
  });
  return all.replace(`${file}: `, '');
}

const MINIMAL = `
  virtualisation.docker.enable = true;
  services.recipe-sweep.enable = true;
  services.recipe-sweep.settings = {
    zone = "ci.example.org";
    recipes = "/etc/recipe-sweep/recipes";
    mirrors = "https://git.example.org/mirrors/{recipe}.git";
  };
`;

describe('a host of whose configuration little is said', () => {
  let host: Host;
  beforeEach(async () => {
    host = (await evaluated(MINIMAL)).host;
  });

  test('is accepted by nix, by the command and by systemd', async () => {
    expect(host.refused).toEqual([]);
    expect(await configCheck(host)).toBe('ok');
    expect(Object.keys(host.services)).toEqual([
      'recipe-sweep',
      'recipe-sweep-schedule',
      'recipe-sweep-serve',
    ]);
    expect(await judged(host)).toBe('');
  });

  test('has the defaults of the schema, and its own name, state and programs', async () => {
    expect(host.settings).toMatchObject({
      host: 'nixos',
      state: '/var/lib/recipe-sweep',
      limits: { attempts: 4, sweep: '20h' },
      temporal: { address: '127.0.0.1:7233' },
    });
    expect(host.settings['temporal']).not.toHaveProperty('tls');
    expect(host.tmpfiles).toEqual([
      'd /var/lib/recipe-sweep 0755 root root -',
      'd /var/lib/recipe-sweep/serve 0755 root root -',
    ]);
  });

  test('has a package on its path for every program that doctor asks for', async () => {
    const folders = createRecipes(path.join(ROOT, 'recipes'));
    const recipes = (await folders.all()).map(({ recipe }) => recipe);
    const named = await recipeTools(folders, recipes, '');
    const tools: string[] = [...TOOLS, ...named.map(({ name }) => name)];
    expect(tools).toContain('git-lfs');
    const from: Record<string, string> = {
      find: 'findutils',
      flock: 'util-linux',
      node: 'nodejs',
      prlimit: 'util-linux',
      tar: 'gnutar',
    };
    const bins = String(host.settings['path'])
      .split(':')
      .map((bin) => path.basename(path.dirname(bin)));
    expect(tools.filter((tool) => !bins.includes(from[tool] ?? tool))).toEqual([]);
  });

  test('has the settings of the unit that install prints', async () => {
    const shared = JSON.parse(
      await readFile(path.join(ROOT, 'client/service/worker-service.json'), 'utf8'),
    ) as { name: string; value: string }[];
    const service = host.services['recipe-sweep']?.serviceConfig;
    expect(service).toMatchObject(Object.fromEntries(shared.map(({ name, value }) => [name, value])));
    expect(service?.['ReadWritePaths']).toEqual(['-/var/lib/recipe-sweep', '-/var/lib/docker']);
    expect(service?.['LoadCredential']).toEqual([]);
  });

  test('does not start the worker before this node is a swarm manager', async () => {
    const docker = path.join(folder, 'store/docker/bin/docker');
    await mkdir(path.dirname(docker), { recursive: true });
    const answered = async (answer: string) => {
      await writeFile(docker, `#!/bin/sh\n${answer}\n`, { mode: 0o755 });
      return execa('sh', ['-c', await nix.stored('recipe-sweep-swarm-manager')], { reject: false });
    };
    expect(await answered('echo true')).toMatchObject({ exitCode: 0 });
    expect(await answered('echo false')).toMatchObject({
      exitCode: 1,
      stderr: expect.stringContaining('docker swarm init') as string,
    });
    expect(await answered('exit 3')).toMatchObject({ exitCode: 1 });
  });
});

test('every key of the configuration may be said', async () => {
  const options = optionsOf(await readFile(path.join(ROOT, 'recipe-sweep.example.yml'), 'utf8'));
  const said: Record<string, Setting> = Object.fromEntries(
    options.flatMap(({ key, example, default: usual }) => {
      const value = example ?? usual;
      // Those of a list of groups are said below.
      return value === null || key.startsWith('alerts.') ? [] : [[key, value]];
    }),
  );
  const exampleOf = (key: string) => options.find((option) => option.key === `alerts.${key}`)?.example;
  const mail = ['from', 'server', 'user', 'passwordFile'].map((key) => [key, exampleOf(`mail.${key}`)]);
  const alerts = [
    { webhook: { url: exampleOf('webhook.url'), tokenFile: exampleOf('webhook.tokenFile') } },
    { webhook: { urlFile: exampleOf('webhook.urlFile') } },
    { mail: { to: [exampleOf('mail.to')], ...Object.fromEntries(mail) } },
    { ntfy: { url: exampleOf('ntfy.url'), tokenFile: exampleOf('ntfy.tokenFile') } },
  ];
  said['recipes'] = '/etc/recipes';
  said['mirrors'] = '/home/git/mirrors/{recipe}.git';
  said['limits.attempts'] = 7;
  const lines = Object.entries(said).map(
    ([key, value]) => `services.recipe-sweep.settings.${key} = ${JSON.stringify(value)};`,
  );
  const { host, error } = await evaluated(
    `virtualisation.docker.enable = true;
     virtualisation.docker.daemon.settings.data-root = "/home/docker";
     services.recipe-sweep.enable = true;
     services.recipe-sweep.tools = [ pkgs.chromium ];
     services.recipe-sweep.settings.alerts = builtins.fromJSON ''${JSON.stringify(alerts)}'';
     ${lines.join('\n')}`,
  );
  expect(error).toBe('');
  expect(host.refused).toEqual([]);
  for (const [key, value] of Object.entries(said)) {
    const found = key
      .split('.')
      .reduce<unknown>((group, name) => (group as Record<string, unknown>)[name], host.settings);
    expect([key, found]).toEqual([key, value]);
  }
  expect(host.settings['alerts']).toEqual(alerts);
  expect(host.services['recipe-sweep']?.serviceConfig['ReadWritePaths']).toEqual([
    '-/var/lib/recipe-sweep',
    '-/home/docker',
    '-/home/git/mirrors',
  ]);
  expect(await configCheck(host)).toBe('ok');
  expect(await judged(host)).toBe('');
});

test('tools are found after what every sweep needs', async () => {
  const { host } = await evaluated(MINIMAL, 'services.recipe-sweep.tools = [ pkgs.chromium ];');
  expect(String(host.settings['path'])).toMatch(/\/zstd\/bin:.*\/chromium\/bin$/);
});

test('the virtual machine of nix/test.nix is a host that nothing is refused of', async () => {
  const machine = `(import ${ROOT}/nix/test.nix { inherit pkgs; }).nodes.machine`;
  const file = path.join(folder, 'machine.nix');
  await writeFile(file, `{ pkgs, ... }: removeAttrs ${machine} [ "imports" ]`);
  const { host, error } = await evaluated(`imports = [ ${file} ];`);
  expect(error).toBe('');
  expect(host.refused).toEqual([]);
  expect(await configCheck(host)).toBe('ok');
  expect(await judged(host)).toBe('');
});

describe('a Temporal server of its own', () => {
  test('keeps its data in a file, and has the namespace before the worker starts', async () => {
    const { host, error } = await evaluated(MINIMAL, 'services.recipe-sweep.temporal.enable = true;');
    expect(error).toBe('');
    expect(host.refused).toEqual([]);
    expect(host.temporal.persistence?.datastores['temporal']?.sql).toMatchObject({
      pluginName: 'sqlite',
      connectAddr: 'localhost',
      maxConns: 1,
    });
    expect(host.services['recipe-sweep-namespace']).toMatchObject({
      before: ['recipe-sweep.service'],
      after: ['temporal.service'],
    });
    expect(host.ensureDatabases).toEqual([]);
    expect(await judged(host)).toBe('');
  });

  test('keeps them in PostgreSQL, whose schema is made once and then kept as new as the server', async () => {
    const { host, error } = await evaluated(
      MINIMAL,
      'services.recipe-sweep = { temporal.enable = true; postgresql.enable = true; };',
    );
    expect(error).toBe('');
    expect(host.refused).toEqual([]);
    expect(host.ensureDatabases).toEqual(['temporal', 'temporal_visibility']);
    expect(host.authentication).toBe(
      'host temporal temporal 127.0.0.1/32 trust\nhost temporal_visibility temporal_visibility 127.0.0.1/32 trust\n',
    );
    expect(host.temporal.persistence?.datastores['temporal_visibility']?.sql).toMatchObject({
      pluginName: 'postgres12',
      connectAddr: '127.0.0.1:5432',
    });
    expect(await judged(host)).toBe('');

    const run = async (tables: string): Promise<string> => {
      for (const [program, text] of [
        ['postgresql/bin/psql', `echo '${tables}'`],
        ['temporal/bin/temporal-sql-tool', 'echo "$@"'],
      ] as const) {
        const file = path.join(folder, 'store', program);
        await mkdir(path.dirname(file), { recursive: true });
        await writeFile(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      }
      return (await execa('sh', ['-c', await nix.stored('recipe-sweep-temporal-schema')])).stdout;
    };
    const words = (text: string) =>
      text.split('\n').map((line) => /--database (\w+) ([a-z]+)/.exec(line)?.slice(1));
    expect(words(await run(''))).toEqual([
      ['temporal', 'setup'],
      ['temporal', 'update'],
      ['temporal_visibility', 'setup'],
      ['temporal_visibility', 'update'],
    ]);
    expect(words(await run('schema_version'))).toEqual([
      ['temporal', 'update'],
      ['temporal_visibility', 'update'],
    ]);
  });

  test.each([
    ['a server with TLS', 'temporal.enable = true; settings.temporal.tls = { };', 'without TLS and keys'],
    ['a database without a server', 'postgresql.enable = true;', 'set temporal.enable too'],
  ])('is not also %s', async (_what, said, why) => {
    const { host } = await evaluated(MINIMAL, `services.recipe-sweep = { ${said} };`);
    expect(host.refused).toEqual([expect.stringContaining(why)]);
  });
});

test("another's Temporal server is told who we are by credentials", async () => {
  const { host, error } = await evaluated(
    MINIMAL,
    `
    services.recipe-sweep = {
      settings.temporal = { address = "temporal.example.org:7233"; tls.serverName = "temporal.example.org"; };
      secrets = {
        temporalApiKey = "/run/secrets/api-key";
        temporalCa = "/run/secrets/ca";
        temporalCert = "/run/secrets/cert";
        temporalKey = "/run/secrets/key";
      };
    };`,
  );
  expect(error).toBe('');
  expect(host.refused).toEqual([]);
  const credentials = '/run/credentials/recipe-sweep.service';
  expect(host.settings['temporal']).toMatchObject({
    apiKeyFile: `${credentials}/temporal-api-key`,
    tls: {
      ca: `${credentials}/temporal-ca`,
      cert: `${credentials}/temporal-cert`,
      key: `${credentials}/temporal-key`,
      serverName: 'temporal.example.org',
    },
  });
  expect(host.services['recipe-sweep']?.serviceConfig['LoadCredential']).toEqual([
    'temporal-api-key:/run/secrets/api-key',
    'temporal-ca:/run/secrets/ca',
    'temporal-cert:/run/secrets/cert',
    'temporal-key:/run/secrets/key',
  ]);
  expect(await configCheck(host)).toBe('ok');
  expect(await judged(host)).toBe('');
});

test('the token of a forge is a credential', async () => {
  const { host, error } = await evaluated(
    MINIMAL,
    `
    services.recipe-sweep = {
      settings.forge.url = "https://git.example.org";
      secrets.forgeToken = "/run/secrets/forge-token";
    };`,
  );
  expect(error).toBe('');
  expect(host.refused).toEqual([]);
  expect(host.settings['forge']).toEqual({
    url: 'https://git.example.org',
    tokenFile: '/run/credentials/recipe-sweep.service/forge-token',
  });
  expect(host.services['recipe-sweep']?.serviceConfig['LoadCredential']).toEqual([
    'forge-token:/run/secrets/forge-token',
  ]);
  expect(await configCheck(host)).toBe('ok');
});

describe('serve', () => {
  const FORGE = `
    services.recipe-sweep = {
      settings.forge.url = "https://git.example.org";
      secrets.forgeToken = "/run/secrets/forge-token";
      secrets.webhookSecret = "/run/secrets/webhook-secret";
    };`;

  test('is a unit of its own, without a forge too, unless it is not to be', async () => {
    const { host } = await evaluated(MINIMAL);
    expect(host.services['recipe-sweep-serve']?.serviceConfig).toMatchObject({
      ReadWritePaths: ['-/var/lib/recipe-sweep/serve'],
      LoadCredential: [],
    });
    const without = await evaluated(MINIMAL, 'services.recipe-sweep.serve.enable = false;');
    expect([without.error, without.host.refused]).toEqual(['', []]);
    expect(Object.keys(without.host.services)).toEqual(['recipe-sweep', 'recipe-sweep-schedule']);
    expect(without.host.tmpfiles).toEqual(['d /var/lib/recipe-sweep 0755 root root -']);
  });

  test('is given its own credentials where there is a forge', async () => {
    const { host, error } = await evaluated(MINIMAL, FORGE);
    expect(error).toBe('');
    expect(host.refused).toEqual([]);
    const shared = JSON.parse(
      await readFile(path.join(ROOT, 'client/service/serve-service.json'), 'utf8'),
    ) as { name: string; value: string }[];
    const service = host.services['recipe-sweep-serve']?.serviceConfig;
    expect(service).toMatchObject(Object.fromEntries(shared.map(({ name, value }) => [name, value])));
    expect(service).toMatchObject({
      ReadWritePaths: ['-/var/lib/recipe-sweep/serve'],
      InaccessiblePaths: ['-/var/run/docker.sock'],
      LoadCredential: ['forge-token:/run/secrets/forge-token', 'webhook-secret:/run/secrets/webhook-secret'],
    });
    expect(host.tmpfiles).toContain('d /var/lib/recipe-sweep/serve 0755 root root -');
    const built = /--config (\S+)/.exec(String(service?.['ExecStart']))?.[1] ?? '';
    const json = /(\S+)-recipe-sweep-serve\.json/.exec(await nix.read(built))?.[0] ?? '';
    const written = JSON.parse(await nix.read(json)) as Record<string, object>;
    const credentials = '/run/credentials/recipe-sweep-serve.service';
    expect(written['forge']).toMatchObject({ tokenFile: `${credentials}/forge-token` });
    expect(written['serve']).toMatchObject({ webhookSecretFile: `${credentials}/webhook-secret` });
    expect(await judged(host)).toBe('');
  });

  test('of a forge is none without a secret, and refused where it is to be', async () => {
    const withoutSecret = FORGE.replace(/^.*webhookSecret.*$/m, '');
    const { host } = await evaluated(MINIMAL, withoutSecret);
    expect(host.refused).toEqual([]);
    expect(Object.keys(host.services)).toEqual(['recipe-sweep', 'recipe-sweep-schedule']);
    const wanted = await evaluated(MINIMAL, withoutSecret, 'services.recipe-sweep.serve.enable = true;');
    expect(wanted.host.refused).toEqual([expect.stringContaining('it needs secrets.webhookSecret')]);
  });
});

describe('refused is', () => {
  test.each([
    ['a time', 'limits.sweep = "20 hours";'],
    ['a number', 'limits.attempts = 1;'],
    ['a choice', 'docker.pull = "sometimes";'],
    ['a text', 'host = "?";'],
    ['a number for a text', 'path = 7;'],
  ])('%s of the wrong form, by its type', async (_what, said) => {
    const { error } = await evaluated(MINIMAL, `services.recipe-sweep.settings.${said}`);
    expect(error).toMatch(/A definition for option `services\.recipe-sweep\.settings\.\S+' is not of type/);
  });

  test('a key that is none', async () => {
    const { error } = await evaluated(MINIMAL, 'services.recipe-sweep.settings.docker.sokcet = "/x";');
    expect(error).toContain("settings.docker.sokcet' does not exist");
  });

  test('a configuration without a zone', async () => {
    const { error } = await evaluated(MINIMAL.replace('zone = "ci.example.org";', ''));
    expect(error).toContain("settings.zone' was accessed but has no value");
  });

  test.each([
    [
      'an engine that survives its restart',
      'virtualisation.docker.liveRestore = true;',
      'liveRestore must be false',
    ],
    [
      'a state folder that a unit cannot name',
      'services.recipe-sweep.settings.state = "/srv/a b";',
      'settings.state must be',
    ],
    [
      'a secret that all can read',
      `services.recipe-sweep.secrets.temporalKey = "/nix/store/x";`,
      'everybody can read',
    ],
  ])('%s, by an assertion', async (_what, said, why) => {
    const { host } = await evaluated(MINIMAL, said);
    expect(host.refused).toEqual([expect.stringContaining(why)]);
  });

  test('a host without docker, but for an engine elsewhere', async () => {
    const bare = MINIMAL.replace('virtualisation.docker.enable = true;', '');
    const { host } = await evaluated(bare);
    expect(host.refused).toEqual([expect.stringContaining('set virtualisation.docker.enable')]);
    const elsewhere = 'services.recipe-sweep.settings.docker.socket = "/run/engine.sock";';
    const { host: other } = await evaluated(bare, elsewhere);
    expect([other.refused, other.services['recipe-sweep']?.after]).toEqual([[], ['network-online.target']]);
  });

  test('nothing where it is not enabled', async () => {
    const { host, error } = await evaluated('services.recipe-sweep.settings.zone = "ci.example.org";');
    expect([error, host.services, host.refused]).toEqual(['', {}, []]);
  });
});
