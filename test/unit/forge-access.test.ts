import { execFileSync } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { checkGitUrl, type GitUrl } from '../../domain/git-url.ts';
import {
  forgeAccess,
  mirrorOnForge,
  recipeOfMirror,
  refuseTwoLogins,
  withForgeToken,
} from '../../host/config/forge-access.ts';

let folder: string;
let tokenFile: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'forge-access-'));
  tokenFile = path.join(folder, 'token');
});
afterEach(() => rm(folder, { recursive: true }));

const FORGE = 'https://git.example.org';
const config = (mirrors: string, url = FORGE) => ({ forge: { url, tokenFile }, mirrors });

function urlOf(text: string): GitUrl {
  const checked = checkGitUrl(text);
  if (!checked.ok) throw new Error(checked.reason);
  const { url, credentials, folder: local } = checked;
  return { url, credentials, folder: local };
}

describe('the token', () => {
  test('is what stands in its file, without the line end', async () => {
    await writeFile(tokenFile, 'abc\n');
    expect(await forgeAccess(config('/x'))).toEqual({ url: FORGE, token: 'abc', tokenFile });
  });

  test('is not asked for without a forge', async () => {
    expect(await forgeAccess({})).toBeNull();
  });

  test.each([
    ['is missing', null, 'ENOENT'],
    ['is empty', ' \n', 'is empty'],
    ['holds two lines', 'abc\nusername=root\n', 'holds more than a token'],
    ['holds what no header may', 'ab\u0000c', 'holds more than a token'],
  ])('whose file %s is a BadConfig, which does not quote it', async (_, text, words) => {
    if (text !== null) await writeFile(tokenFile, text);
    const error = (await forgeAccess(config('/x')).catch((thrown: unknown) => thrown)) as Error;
    expect(error).toMatchObject({ type: 'BadConfig' });
    expect(error.message).toContain('forge.tokenFile');
    expect(error.message).toContain(words);
    expect(error.message).not.toContain('root');
  });
});

test('a token from a pipe is refused, and not waited for', async () => {
  execFileSync('mkfifo', [tokenFile]);
  await expect(forgeAccess(config('/x'))).rejects.toMatchObject({
    type: 'BadConfig',
    message: expect.stringContaining('is no regular file'),
  });
});

describe('a mirror', () => {
  test.each([
    [`${FORGE}/mirrors/{recipe}.git`, FORGE, { owner: 'mirrors', name: 'ghost' }],
    [`${FORGE}/mirrors/{recipe}`, `${FORGE}/`, { owner: 'mirrors', name: 'ghost' }],
    [`${FORGE}:443/mirrors/x-{recipe}.git`, FORGE, { owner: 'mirrors', name: 'x-ghost' }],
    [`${FORGE}/git/{recipe}/{recipe}.git`, `${FORGE}/git`, { owner: 'ghost', name: 'ghost' }],
    ['http://127.0.0.1:3000/m/{recipe}.git', 'http://127.0.0.1:3000', { owner: 'm', name: 'ghost' }],
  ])('at %s is on the forge %s', (mirrors, url, repository) => {
    const settings = config(mirrors, url);
    expect(mirrorOnForge(settings, 'ghost')).toEqual(repository);
    expect(recipeOfMirror(settings, repository)).toBe('ghost');
  });

  test.each([
    'https://git.example.org.evil.test/mirrors/{recipe}.git',
    'https://other.example.org/mirrors/{recipe}.git',
    'http://git.example.org/mirrors/{recipe}.git',
    'https://git.example.org:8443/mirrors/{recipe}.git',
    'https://git.example.org/{recipe}.git',
    'https://git.example.org/a/b/{recipe}.git',
    'ssh://git@git.example.org/mirrors/{recipe}.git',
    '/srv/mirrors/{recipe}.git',
    'no url of {recipe}',
  ])('at %s is elsewhere', async (mirrors) => {
    expect(mirrorOnForge(config(mirrors), 'ghost')).toBeNull();
    expect(recipeOfMirror(config(mirrors), { owner: 'mirrors', name: 'ghost' })).toBeNull();
  });

  test('is none of a configuration without a forge', () => {
    expect(mirrorOnForge({ mirrors: `${FORGE}/mirrors/{recipe}.git` }, 'ghost')).toBeNull();
  });

  test.each([
    ['mirrors', 'custom-html', 'custom-html'],
    ['Mirrors', 'Custom-HTML', 'custom-html'],
    ['mirrors', 'custom--html', null],
    ['mirrors', '-ghost', null],
    ['mirrors', 'ghost/x', null],
    ['mirrors', '../ghost', null],
    ['mirrors', 'ghost.git', null],
    ['others', 'ghost', null],
    ['mirrorsx', 'ghost', null],
  ])('%s/%s is of %j', (owner, name, recipe) => {
    expect(recipeOfMirror(config(`${FORGE}/mirrors/{recipe}.git`), { owner, name })).toBe(recipe);
  });

  test('of one recipe in two places is of no other', () => {
    const settings = config(`${FORGE}/{recipe}/x.y-{recipe}.git`);
    expect(recipeOfMirror(settings, { owner: 'ghost', name: 'x.y-ghost' })).toBe('ghost');
    expect(recipeOfMirror(settings, { owner: 'ghost', name: 'x.y-other' })).toBeNull();
    expect(recipeOfMirror(settings, { owner: 'ghost', name: 'xzy-ghost' })).toBeNull();
  });
});

describe('what git says', () => {
  test('is the token, to the forge and to nobody else', async () => {
    await writeFile(tokenFile, 'abc\n');
    const settings = config(`${FORGE}/mirrors/{recipe}.git`);
    expect(await withForgeToken(settings, urlOf(`${FORGE}/mirrors/ghost.git`))).toEqual({
      url: `${FORGE}/mirrors/ghost.git`,
      credentials: { origin: FORGE, username: 'recipe-sweep', password: 'abc' },
      folder: null,
    });
    const elsewhere = urlOf('https://me:mine@other.example.org/mirrors/ghost.git');
    expect(await withForgeToken(settings, elsewhere)).toEqual(elsewhere);
  });

  test('is one thing: not the token, and credentials in the URL beside', async () => {
    const settings = config('https://me:mine@git.example.org/mirrors/{recipe}.git');
    const refused = /^mirrors: there is a name or a password before the host/;
    expect(() => refuseTwoLogins(settings)).toThrow(refused);
    await expect(
      withForgeToken(settings, urlOf('https://me:mine@git.example.org/mirrors/ghost.git')),
    ).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.not.stringContaining('mine') as string,
    });
    refuseTwoLogins({ mirrors: settings.mirrors });
    refuseTwoLogins(config('https://me:mine@other.example.org/mirrors/{recipe}.git'));
  });
});
