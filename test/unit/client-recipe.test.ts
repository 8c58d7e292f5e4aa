import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { processRunner } from '../../host/machine/process.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { typeIn } from './typed-command.ts';

const OURS = path.resolve(import.meta.dirname, '../../recipes');
const UPSTREAM = 'https://git.coopcloud.tech/coop-cloud/thing.git';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'client-recipe-'));
  await writeFile(
    path.join(folder, 'recipe-sweep.yml'),
    'host: ci-1\nzone: ci.example.org\nstate: state\nrecipes: recipes\nmirrors: https://mirrors.example.org/{recipe}\n',
  );
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

/** A command typed in the folder of the configuration; what it printed is without colours. */
async function type(...args: string[]) {
  const typed = await typeIn(folder, args);
  return { ...typed, out: stripVTControlCharacters(typed.out) };
}

const at = (...parts: string[]): string => path.join(folder, 'recipes', ...parts);

async function write(recipe: string, settings: string): Promise<void> {
  await mkdir(at(recipe), { recursive: true });
  await writeFile(at(recipe, 'recipe.yml'), settings);
}

describe('recipe new', () => {
  test('makes a folder with nothing wrong in it, and says what to do next', async () => {
    const { status, out } = await type('recipe', 'new', 'thing', '--upstream', UPSTREAM);
    expect(status).toBe(0);
    for (const part of [
      'made recipes/thing',
      'https://mirrors.example.org/thing must exist',
      'recipe-sweep recipe check thing',
      'recipe-sweep sweep thing',
    ]) {
      expect(out).toContain(part);
    }
    expect(await type('recipe', 'check')).toEqual({ status: 0, out: 'ok     thing', err: '' });
    expect(parse(await readFile(at('thing', 'recipe.yml'), 'utf8'))).toEqual({ upstream: UPSTREAM });
  });

  test('explains every key of the example, put out of use', async () => {
    await type('recipe', 'new', 'thing', '--upstream', UPSTREAM);
    const example = await readFile(path.join(OURS, 'recipe.example.yml'), 'utf8');
    const made = await readFile(at('thing', 'recipe.yml'), 'utf8');
    const inUse = (text: string): string[] =>
      text
        .replaceAll(/^#(?=\S|  )/gm, '')
        .split('\n')
        .slice(text.split('\n').indexOf(''));
    expect(inUse(made)).toEqual(
      inUse(example).map((line) => line.replace(/^upstream: .*/, `upstream: ${UPSTREAM}`)),
    );
  });

  test('brings scripts that can be run, and samples of hooks that are not yet', async () => {
    await type('recipe', 'new', 'thing', '--upstream', UPSTREAM);
    const scripts = ['checks/answers', 'hooks/check-data.sample', 'hooks/write-data.sample'];
    for (const script of scripts) expect((await stat(at('thing', script))).mode & 0o777).toBe(0o755);
    for (const hook of ['check-data', 'write-data']) {
      await writeFile(at('thing/hooks', hook), await readFile(at('thing/hooks', `${hook}.sample`)));
      await chmod(at('thing/hooks', hook), 0o755);
    }
    expect((await type('recipe', 'check')).status).toBe(0);
    expect((await type('recipe', 'show', 'thing')).out).toMatch(/^hooks +check-data\n +write-data$/m);
  });

  test('overwrites nothing', async () => {
    await write('thing', 'upstream: /srv/thing.git\n');
    expect(await type('recipe', 'new', 'thing', '--upstream', UPSTREAM)).toEqual({
      status: 2,
      out: '',
      err: `recipe-sweep: ${at('thing')} is there already; nothing was changed`,
    });
    expect(await readdir(at('thing'))).toEqual(['recipe.yml']);
  });

  test.each([
    ['a name that no recipe can have', ['Thing', '--upstream', UPSTREAM], 'not a recipe name'],
    ['no upstream', ['thing'], '--upstream'],
    ['an upstream that is no git URL', ['thing', '--upstream', 'ext::sh -c id'], 'not a git URL'],
    ['a password in the upstream', ['thing', '--upstream', 'https://me:hunter2@x.org/y'], 'holds a password'],
  ])('%s is refused, and makes nothing', async (_situation, args, says) => {
    const { status, err } = await type('recipe', 'new', ...args);
    expect(status).toBe(2);
    expect(err).toContain(says);
    expect(err).not.toContain('hunter2');
    await expect(readdir(at())).rejects.toThrow('ENOENT');
  });
});

test('recipe check names a tool that is not on this host, and recipe show those that are needed', async () => {
  await write('thing', 'upstream: /srv/thing.git\ntools: [sh, no-such-tool]\n');
  const { status, out } = await type('recipe', 'check');
  expect(status).toBe(1);
  expect(out).toContain('WRONG  thing');
  expect(out).toMatch(/recipe\.yml: tools\.1: no-such-tool is not on \S+: install it \(apt-get install no-/);
  expect(out).not.toContain('tools.0');
  expect((await type('recipe', 'show', 'thing')).out).toMatch(/^tools +sh\n +no-such-tool$/m);
});

describe('the check that a new recipe begins with', () => {
  const ANSWERS = path.resolve(import.meta.dirname, '../../host/recipes/recipe-template/checks/answers');

  async function check(page: string | null): Promise<{ status: number | null; stdout: string }> {
    const server = createServer((_request, response) => response.end(page)).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    const { run } = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
    try {
      const env: Record<string, string> = page === null ? {} : { APP_URL: `http://127.0.0.1:${port}` };
      return await run({ file: ANSWERS, args: [], cwd: folder, env });
    } finally {
      server.close();
    }
  }

  test('passes on a page with a title', async () => {
    expect(await check('<!doctype html>\n<title>Thing</title>\n')).toMatchObject({ status: 0 });
  });

  test('fails on anything else, and says so', async () => {
    expect(await check('Bad Gateway')).toMatchObject({
      status: 1,
      stdout: expect.stringContaining('no page with a title'),
    });
  });

  test('is not applicable to an app without HTTP', async () => {
    expect(await check(null)).toMatchObject({ status: 77, stdout: 'the app does not speak HTTP\n' });
  });
});

describe('recipe check', () => {
  test('says all that is wrong, recipe by recipe, and ends with 1', async () => {
    await write('good', 'upstream: /srv/good.git\n');
    await write('bad', 'upstream: /srv/bad.git\nprobe: { stauts: [200] }\ndeps: [other]\n');
    expect(await type('recipe', 'check')).toEqual({
      status: 1,
      out: [
        'WRONG  bad',
        '         recipe.yml: probe.stauts: unknown key',
        `         recipe.yml: deps.0: other has no folder of its own: there is no ${at('other/recipe.yml')}`,
        'ok     good',
      ].join('\n'),
      err: '',
    });
    expect((await type('recipe', 'check', 'good')).status).toBe(0);
    const { out } = await type('recipe', 'check', 'bad', 'good', '--json');
    expect(parseDocument('recipe check', out)).toEqual([
      {
        recipe: 'bad',
        ok: false,
        mistakes: [
          { file: 'recipe.yml', path: 'probe.stauts', what: 'unknown key' },
          { file: 'recipe.yml', path: 'deps.0', what: expect.stringContaining('other has no folder') },
        ],
      },
      { recipe: 'good', ok: true, mistakes: [] },
    ]);
  });

  test('of what is not there ends with 2', async () => {
    expect(await type('recipe', 'check')).toMatchObject({ status: 2, out: '' });
    await write('good', 'upstream: /srv/good.git\n');
    expect(await type('recipe', 'check', '../good')).toMatchObject({
      status: 2,
      out: '',
      err: `recipe-sweep: no folder in ${at()}: "../good"`,
    });
  });
});

describe('recipe show', () => {
  test('says what a recipe comes to, defaults included', async () => {
    await write('plain', 'upstream: https://me:hunter2@git.example.org/plain.git\n');
    expect(await type('recipe', 'show', 'plain')).toEqual({
      status: 0,
      out: [
        'plain',
        'folder       recipes/plain',
        'upstream     https://git.example.org/plain.git',
        'enrolled     yes',
        'held         no',
        'env          none',
        'upgrade env  none',
        'prereleases  not tested',
        'one-shot     none',
        'deps         none',
        'tools        none',
        'probe        GET / answers a 2xx or 3xx, where compose has a service for the proxy; else its tasks are judged',
        'allow        none',
        'timeouts     hook 5m 00s, check 10m 00s',
        'hooks        none',
        'checks       none',
        'overlay      none',
      ].join('\n'),
      err: '',
    });
  });

  test('says a probe in words', async () => {
    const probe = async (text: string): Promise<string | undefined> => {
      await write('thing', `upstream: /srv/thing.git\nprobe: ${text}\n`);
      return /^probe +(.*)$/m.exec((await type('recipe', 'show', 'thing')).out)?.[1];
    };
    expect(await probe('{ path: /status, status: [200, 204], contains: ok, redirects: follow }')).toBe(
      'GET /status answers 200 or 204, with "ok" in its body, where redirects end',
    );
    expect(await probe('{ certificate: trusted }')).toBe(
      'GET / answers a 2xx or 3xx, with a certificate that is trusted',
    );
    expect(await probe('{ protocol: tcp, port: 64738, tls: true, expect: ^0000 }')).toBe(
      'tcp port 64738 of service app, in TLS, answers what matches ^0000',
    );
    expect(await probe('{ protocol: udp, port: 53, service: dns, send: "00" }')).toBe(
      'udp port 53 of service dns, is sent 00, answers anything',
    );
  });

  test('as JSON has every key', async () => {
    await write('plain', 'upstream: /srv/plain.git\nhold: later\nupgrade_env: { A: b }\n');
    expect(parseDocument('recipe show', (await type('recipe', 'show', 'plain', '--json')).out)).toEqual({
      recipe: 'plain',
      upstream: '/srv/plain.git',
      exception: null,
      hold: 'later',
      live: false,
      stateful: null,
      env: {},
      upgradeEnv: { A: 'b' },
      preReleases: false,
      oneShot: [],
      deps: [],
      tools: [],
      probe: null,
      allow: [],
      timeouts: { hookMs: 300_000, checkMs: 600_000 },
      hooks: {},
      checks: [],
      overlay: null,
    });
  });

  test.each([
    ['http', 'probe: { path: /status, status: [204], contains: ok }'],
    ['tcp', 'probe: { protocol: tcp, port: 64738, tls: true, expect: ^0000 }'],
    ['udp', 'probe: { protocol: udp, port: 53, service: dns, send: "00" }'],
  ])('as JSON has its probe: %s', async (protocol, probe) => {
    await write('probed', `upstream: /srv/probed.git\n${probe}\n`);
    const { out } = await type('recipe', 'show', 'probed', '--json');
    expect(parseDocument('recipe show', out).probe).toMatchObject({ protocol });
  });

  test('of a folder with a mistake says all of them, and ends with 2', async () => {
    await write('bad', 'upstream: nowhere\nupgrade_base: 1.0.0+1\n');
    const { status, err } = await type('recipe', 'show', 'bad');
    expect(status).toBe(2);
    expect(err).toContain('recipe.yml: upstream: not a git URL');
    expect(err).toContain('recipe.yml: upgrade_base: bases are computed');
  });
});
