import { execFileSync } from 'node:child_process';
import { chmod, lstat, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { App } from '../../domain/app.ts';
import { ABRA_STAND_IN } from '../../fixtures/abra-stand-in.ts';
import { versionArguments } from '../../host/config/environment.ts';
import { handOverByAbra } from '../../host/deploy/abra-hand-over.ts';
import {
  abraEnv,
  abraFolder,
  abraRecipe,
  appDeployArgs,
  isTooOld,
  versionIn,
} from '../../host/deploy/abra.ts';
import {
  CommandFailed,
  processRunner,
  type Command,
  type Finished,
  type ProcessRunner,
} from '../../host/machine/process.ts';
import { COMMAND_MARK, withVariable } from '../../host/machine/processes.ts';
import { atTerminal } from '../../host/machine/terminal.ts';
import { checkPrerequisites } from '../../host/prerequisites.ts';
import { parseEnvSample } from '../../host/recipe-format/env.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { plainSettings } from '../fixtures/plain-settings.ts';

const environment = { PATH: process.env['PATH'] ?? '' };
const DOMAIN = 'warm-thing.ci.example.org';

let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'abra-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function program(name: string, text: string): Promise<string> {
  const file = path.join(folder, name);
  await writeFile(file, text);
  await chmod(file, 0o755);
  return file;
}

describe('what abra is told', () => {
  it('whole', () => {
    const flags = ['-C', '-f', '-c', '--no-domain-checks', '-n'];
    expect(appDeployArgs(DOMAIN)).toEqual(['app', 'deploy', ...flags, '--', DOMAIN]);
    expect(versionArguments('abra')).toEqual(['--version']);
  });

  it('is what docs/abra.md has a source for, and no more', async () => {
    const text = await readFile(new URL('../../docs/abra.md', import.meta.url), 'utf8');
    expect(text).toContain(`abra ${appDeployArgs('<domain>').join(' ')}`);
    const documented = [...text.matchAll(/^\| `(-[^`]*)` +\|.*\| \S.* \|$/gm)].map(([, flag]) => flag);
    const told = [...appDeployArgs(DOMAIN), ...versionArguments('abra')].filter((word) =>
      /^--?\w/.test(word),
    );
    expect(new Set(documented)).toEqual(new Set(told));
  });
});

describe('what abra calls itself', () => {
  it.each([
    ['abra version 0.10.0-beta-06a57de\n', '0.10.0-beta-06a57de', false],
    ['abra version 0.11.0-beta\r\n', '0.11.0-beta', false],
    ['abra version 1.0.0\n', '1.0.0', false],
    ['abra version 0.9.0-beta-06a57de\n', '0.9.0-beta-06a57de', true],
    ['abra version 0.4.0-alpha-rc6-cff7534\n', '0.4.0-alpha-rc6-cff7534', true],
  ])('in %j', (answer, version, old) => {
    expect(versionIn(answer)).toBe(version);
    expect(isTooOld(version)).toBe(old);
  });

  it.each(['', 'abra version dev-06a57de', 'git version 2.39.5'])('is not in %j', (answer) => {
    expect(versionIn(answer)).toBeNull();
  });
});

describe('a command at a terminal', () => {
  const { run } = processRunner({ environment });
  const SHOW = `
    const { stdin, stdout, stderr, argv, env } = process;
    console.log(JSON.stringify([stdin.isTTY, stdout.isTTY, stderr.isTTY, env.MORE, argv.slice(1)]));
    console.error('said');
    process.exit(7);`;

  it('has one, and every word as it is; its status is the command’s', async () => {
    const trap = path.join(folder, 'trap');
    const words = ['a b', '', `$(touch ${trap})`, `\`touch ${trap}\`;'"`, '$HOME', '*', '--', '\\n', 'ü\n'];
    const args = ['-e', SHOW, '--', ...words];
    const command = { file: process.execPath, args, env: { MORE: '$x' } };
    const { status, stdout, stderr } = await run(atTerminal(command));
    const [first = '', second] = stdout.split('\r\n');
    expect(JSON.parse(first)).toEqual([true, true, true, '$x', words]);
    expect([second, status, stderr]).toEqual(['said', 7, '']);
    await expect(lstat(trap)).rejects.toThrow();
  });

  it('leaves nothing behind when its time is over', async () => {
    const variable = `ABRA_TEST_${process.pid}`;
    const text = `process.on('SIGTERM', () => undefined); setInterval(() => undefined, 1000); console.log('runs');`;
    const command = {
      file: process.execPath,
      args: ['-e', text],
      env: { [variable]: 'x' },
      timeoutMs: 2_000,
    };
    const error = (await run(atTerminal(command)).catch((thrown: unknown) => thrown)) as CommandFailed;
    expect(error).toBeInstanceOf(CommandFailed);
    expect([error.ending, error.stdout.trim()]).toEqual(['deadline', 'runs']);
    const gone = Date.now() + 5_000;
    while ((await withVariable(variable)).length > 0 && Date.now() < gone) await sleep(50);
    expect(await withVariable(variable)).toEqual([]);
  });
});

describe('an app that is handed over by abra', () => {
  let app: App;
  let ran: Command[];
  let guarded: number;

  beforeEach(async () => {
    const evidence = path.join(folder, 'evidence');
    app = {
      recipe: 'thing',
      version: '1.0.0+1',
      commit: 'c'.repeat(40),
      checkout: path.join(folder, 'checkout'),
      scratch: folder,
      domain: DOMAIN,
      stack: 'warm-thing_ci_example_org',
      lifetime: 'warm',
      run: 'run',
      env: {},
      settings: plainSettings('thing'),
      dependencies: [],
      secrets: {},
      resolvedImages: path.join(folder, 'images.json'),
      provenImages: null,
      evidence,
    };
    ran = [];
    guarded = 0;
    await mkdir(evidence);
    await writeFile(path.join(evidence, 'deployed-1-compose.yml'), 'one');
    await writeFile(path.join(evidence, 'deployed-2-overlay.yml'), 'two');
    await mkdir(abraRecipe(app), { recursive: true });
  });

  const FILES = ['deployed-1-compose.yml', 'deployed-2-overlay.yml'];

  function handOver(answer: Partial<Finished> | Error = {}, env: Record<string, string> = {}): Promise<void> {
    const run = async (command: Command): Promise<Finished> => {
      ran.push(command);
      if (answer instanceof Error) throw answer;
      return { status: 0, stdout: '', stderr: '', ...answer };
    };
    return handOverWith({ run } as ProcessRunner, env);
  }

  function handOverWith(commands: ProcessRunner, env: Record<string, string> = {}): Promise<void> {
    const by = handOverByAbra({
      commands,
      guard: async () => void guarded++,
      report: () => undefined,
      fit: async (_, text) => text.replaceAll('hunter2', '***'),
    });
    return by(app, FILES, new Map(Object.entries(env)));
  }

  it('is given to abra at a terminal, with a folder of its own', async () => {
    await handOver();
    expect(ran).toEqual([
      atTerminal({
        file: 'abra',
        args: appDeployArgs(DOMAIN),
        cwd: app.evidence,
        env: { ABRA_DIR: `${app.checkout}.abra` },
        timeoutMs: 300_000,
      }),
    ]);
    expect(guarded).toBe(1);
  });

  it('has its env where abra looks, which says nothing of where it goes but what we say', async () => {
    await handOver(
      {},
      {
        TYPE: '../../other',
        RECIPE: 'other',
        STACK_NAME: 'other_stack',
        DOMAIN: 'other.example.org',
        COMPOSE_FILE: 'compose.yml:compose.other.yml',
        POST_DEPLOY_CMDS: 'app migrate',
        POST_UPGRADE_CMDS: 'app migrate',
        PASSWORD: `it's $HOME \\ "quoted"\nand more`,
        PLAIN: '$HOME # kept',
      },
    );
    const file = path.join(`${app.checkout}.abra`, 'servers', 'default', `${DOMAIN}.env`);
    expect(abraEnv(app)).toBe(file);
    const { values } = parseEnvSample(await readFile(file, 'utf8'), 'x.env', new Map());
    expect(Object.fromEntries(values)).toEqual({
      TYPE: 'thing',
      RECIPE: 'thing',
      STACK_NAME: app.stack,
      DOMAIN,
      COMPOSE_FILE: 'recipe-sweep-deployed-1-compose.yml:recipe-sweep-deployed-2-overlay.yml',
      PASSWORD: `it's $HOME \\ "quoted"\nand more`,
      PLAIN: '$HOME # kept',
    });
    expect((await lstat(file)).mode & 0o077).toBe(0);
  });

  it('has the files that were checked beside the recipe’s own, and no abra.sh that could say otherwise', async () => {
    const recipe = abraRecipe(app);
    const outside = path.join(folder, 'outside');
    await writeFile(outside, 'not ours');
    await symlink(outside, path.join(recipe, 'recipe-sweep-deployed-1-compose.yml'));
    await writeFile(path.join(recipe, 'abra.sh'), 'export STACK_NAME=other\n');
    await handOver();
    await handOver();
    expect(await readFile(path.join(recipe, 'recipe-sweep-deployed-1-compose.yml'), 'utf8')).toBe('one');
    expect(await readFile(path.join(recipe, 'recipe-sweep-deployed-2-overlay.yml'), 'utf8')).toBe('two');
    expect(await readFile(outside, 'utf8')).toBe('not ours');
    await expect(lstat(path.join(recipe, 'abra.sh'))).rejects.toThrow();
  });

  it('that abra refuses is red, with all that abra wrote, secrets masked', async () => {
    const stdout = 'working\rdone   \r\n\u001b[31mFATA\u001b[0m no hunter2 for you\r\n';
    const red = (await handOver({ status: 1, stdout }).catch((error: unknown) => error)) as Error;
    expect(red).toMatchObject({
      name: 'Red',
      message: 'abra refuses to deploy it: FATA no *** for you',
      file: path.join(app.evidence, 'abra-app-deploy.txt'),
    });
    const kept = await readFile(path.join(app.evidence, 'abra-app-deploy.txt'), 'utf8');
    expect(kept).toBe('done   \nFATA no *** for you\n');
  });

  it.each([
    ['FATA inappropriate ioctl for device', 'Preflight'],
    ['Error: unknown flag: --no-domain-checks', 'Preflight'],
    ["Error: unknown shorthand flag: 'c' in -c", 'Preflight'],
    ['sh: 1: exec: abra: not found', 'Preflight'],
    ['FATA Cannot connect to the Docker daemon at unix:///var/run/docker.sock', 'Daemon'],
    ['FATA network proxy not found', 'Daemon'],
    ['FATA write /x: no space left on device', 'Disk'],
    ["FATA port '80' is already in use by service 'x' (abc)", 'PortTaken'],
  ])('of which abra says %j is not red', async (said, type) => {
    await expect(handOver({ status: 1, stdout: `${said}\r\n` })).rejects.toMatchObject({ type });
  });

  it('that abra does not come to an end with is not red', async () => {
    const finished = { status: null, stdout: '', stderr: '' };
    const late = new CommandFailed('script', finished, 'not finished after 300000 ms, ended', 'deadline');
    await expect(handOver(late)).rejects.toMatchObject({ type: 'Daemon' });
    const none = new CommandFailed('script', finished, 'spawn script ENOENT', 'not started');
    await expect(handOver(none)).rejects.toMatchObject({ type: 'Preflight' });
  });

  it('is handed over again after an attempt that was ended half-way, and abra with it', async () => {
    const began = path.join(folder, 'began');
    const text = `test -e ${began} && { echo "for $ABRA_DIR"; exit; }; touch ${began}; exec sleep 600`;
    await program('abra', `#!/bin/sh\n${text}\n`);
    const mark = `${process.pid} half-way`;
    const marked = { PATH: `${folder}:${environment.PATH}`, [COMMAND_MARK]: mark };
    const running = async (): Promise<number> =>
      (await withVariable(COMMAND_MARK)).filter(({ value }) => value === mark).length;
    const end = new AbortController();
    const first = handOverWith(processRunner({ environment: marked, signal: end.signal }));
    while (!(await lstat(began).catch(() => null))) await sleep(50);
    expect(await running()).toBe(2);
    end.abort(new Error('fenced'));
    await expect(first).rejects.toThrow('fenced');
    const gone = Date.now() + 5_000;
    while ((await running()) > 0 && Date.now() < gone) await sleep(50);
    expect(await running()).toBe(0);

    await handOverWith(processRunner({ environment: marked }));
    const kept = await readFile(path.join(app.evidence, 'abra-app-deploy.txt'), 'utf8');
    expect(kept).toBe(`for ${abraFolder(app)}\n`);
  });

  it('is given to abra again where another update was quicker, and no more than three times', async () => {
    await expect(handOver({ status: 1, stdout: 'FATA update out of sequence' })).rejects.toMatchObject({
      type: 'Daemon',
    });
    expect([ran.length, guarded]).toEqual([3, 3]);
  });
});

describe('the preflight of a host that deploys by abra', () => {
  async function found(deployer: 'swarm' | 'abra', text: string | null) {
    if (text !== null) await program('abra', `#!/bin/sh\n${text}\n`);
    const config = plainConfig({
      host: 'h',
      zone: 'z.test',
      state: path.join(folder, 'state'),
      recipes: folder,
      deployer,
      path: folder,
      docker: { socket: path.join(folder, 'none.sock'), pull: 'missing' },
    });
    const all = await checkPrerequisites(config);
    return Object.fromEntries(
      all.flatMap(({ name, ...rest }) => (/^(abra|script)$/.test(name) ? [[name, rest]] : [])),
    );
  }

  const HOW =
    'install abra 0.10.0 or newer (https://docs.coopcloud.tech/abra/install/), or set "deployer: swarm" in the configuration';

  it('asks for it', async () => {
    const { abra, script } = await found('abra', 'echo "abra version 0.10.1-beta-1234567"');
    expect(abra).toEqual({ ok: true, found: `0.10.1-beta-1234567 at ${folder}/abra`, how: '' });
    expect(script).toMatchObject({ ok: false, how: expect.stringContaining('apt-get install bsdutils') });
  });

  it('says what to do without one', async () => {
    const { abra } = await found('abra', null);
    expect(abra).toEqual({
      ok: false,
      found: `not on ${folder}`,
      how: HOW.replace(', or', ', or set "path", or'),
    });
  });

  it.each([
    ['echo "abra version 0.9.0-beta"', '0.9.0-beta at %/abra is too old'],
    ['echo "abra 3"', '%/abra --version says "abra 3", which is not abra\'s'],
    ['exit 1', '%/abra --version says "", which is not abra\'s'],
    ['kill -9 $$', '%/abra --version: ended by SIGKILL'],
  ])('and with one that does %j', async (text, said) => {
    const { abra } = await found('abra', text);
    expect(abra).toEqual({ ok: false, found: said.replace('%', folder), how: HOW });
  });

  it('is that of any other where docker’s client deploys', async () => {
    expect(await found('swarm', null)).toEqual({});
  });
});

describe('the stand-in for abra', () => {
  const abra = path.join(ABRA_STAND_IN, 'abra');
  const { run } = processRunner({ environment: { ...environment, HOME: '/nonexistent' } });

  const refusal = async (command: Omit<Command, 'file'>): Promise<string> => {
    const asked = { file: abra, env: { ABRA_DIR: abraFolder({ checkout: folder }) }, ...command };
    const { status, stdout } = await run(atTerminal(asked));
    expect(status).toBe(1);
    return stdout.trim();
  };

  afterEach(() => rm(`${folder}.abra`, { recursive: true, force: true }));

  it('says which it is', async () => {
    const { stdout } = await run({ file: abra, args: versionArguments('abra') });
    expect(versionIn(stdout)).toMatch(/stand-in/);
    expect(isTooOld(versionIn(stdout) ?? '')).toBe(false);
  });

  it('does not run without a terminal', async () => {
    const { status, stderr } = await run({ file: abra, args: appDeployArgs(DOMAIN) });
    expect([status, stderr]).toEqual([1, 'FATA inappropriate ioctl for device\n']);
  });

  it('refuses a flag that it does not know, and an app that it does not', async () => {
    expect(await refusal({ args: ['app', 'deploy', '--yes', DOMAIN] })).toBe('FATA unknown flag: --yes');
    expect(await refusal({ args: appDeployArgs(DOMAIN) })).toContain(`cannot find app with name ${DOMAIN}`);
    expect(await refusal({ args: ['app', 'list'] })).toContain('unknown command');
  });

  it('refuses a checkout with changes, unless told otherwise', async () => {
    const app = { checkout: folder, recipe: 'thing', domain: DOMAIN };
    await mkdir(abraRecipe(app), { recursive: true });
    await mkdir(path.dirname(abraEnv(app)), { recursive: true });
    await writeFile(abraEnv(app), "TYPE='thing'\n");
    execFileSync('git', ['init', '--quiet', abraRecipe(app)]);
    await writeFile(path.join(abraRecipe(app), 'new'), '');
    const args = appDeployArgs(DOMAIN).filter((word) => word !== '-C');
    expect(await refusal({ args })).toContain('thing has locally unstaged changes');
  });
});
