import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { typeIn } from './typed-command.ts';

let folder: string;
let file: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'client-config-'));
  file = path.join(folder, 'recipe-sweep.yml');
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const GOOD = 'host: ci-1\nzone: ci.example.org\nstate: state\nrecipes: recipes\nmirrors: /mirrors/{recipe}\n';

describe('config check', () => {
  test('says that a good file is one, without a server or an engine', async () => {
    // Neither is there: nothing listens on port 1, and no socket stands at that path.
    await writeFile(file, `${GOOD}temporal: { address: '127.0.0.1:1' }\ndocker: { socket: /none }\n`);
    expect(await typeIn(folder, ['config', 'check'])).toEqual({ status: 0, out: `${file}: ok`, err: '' });
  });

  test('lists every mistake, each by its dotted path', async () => {
    await writeFile(file, `${GOOD}limits: { attempts: 1 }\nschedule: { day: someday }\ncolour: green\n`);
    const { status, out, err } = await typeIn(folder, ['config', 'check', '--config', 'recipe-sweep.yml']);
    expect([status, out]).toEqual([2, '']);
    expect(err.split('\n').sort()).toEqual([
      '  colour: unknown key',
      expect.stringMatching(/^ {2}limits\.attempts: /),
      expect.stringMatching(/^ {2}schedule\.day: /),
      `recipe-sweep: ${file}:`,
    ]);
  });

  test('names a file that is not there', async () => {
    const { status, err } = await typeIn(folder, ['config', 'check', '--config', 'none.yml']);
    expect(status).toBe(2);
    expect(err).toContain(`${path.join(folder, 'none.yml')}: cannot be read`);
  });
});
