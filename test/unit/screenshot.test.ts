import { mkdtemp, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  CommandFailed,
  type Command,
  type Finished,
  type ProcessRunner,
} from '../../host/machine/process.ts';
import { browserArguments, takeScreenshot } from '../../host/evidence/screenshot.ts';

const page = { url: 'http://gite-1a2b3c.ci.example.org:3000/login', address: '172.18.0.7' };
const PNG = Buffer.from('89504e470d0a1a0a00000000', 'hex');

describe('the browser', () => {
  test('finds the app at its task, and nothing else', () => {
    const args = browserArguments(page, '/tmp/x');
    expect(args).toContain(
      '--host-resolver-rules=MAP gite-1a2b3c.ci.example.org:3000 172.18.0.7:3000, MAP * ~NOTFOUND',
    );
    expect(args).toContain('--webrtc-ip-handling-policy=disable_non_proxied_udp');
    expect(args.at(-1)).toBe(page.url);
  });

  test('looks up the app alone where it is asked through the proxy', () => {
    expect(browserArguments({ url: 'https://gite.example.org/', address: null }, '/tmp/x')).toContain(
      '--host-resolver-rules=MAP gite.example.org:443 gite.example.org:443, MAP * ~NOTFOUND',
    );
  });

  test('keeps its sandbox', () => {
    expect(
      browserArguments(page, '/tmp/x').filter((argument) => /sandbox|web-security/.test(argument)),
    ).toEqual([]);
  });
});

/** The folder is given to another user, which is root's to do. */
describe.skipIf(process.getuid?.() !== 0)('a screenshot', () => {
  let folder: string;
  let file: string;
  let asked: Command[];
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'picture-'));
    file = path.join(folder, 'screenshot.png');
    asked = [];
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  /** Answers for the browser; what removes the folders is done. */
  function runner(browse: (command: Command) => Promise<Partial<Finished>>): ProcessRunner {
    const run = async (command: Command): Promise<Finished> => {
      asked.push(command);
      const answer = command.args.includes('rm')
        ? await Promise.all(command.args.slice(9).map((one) => rm(one, { recursive: true }))).then(() => ({}))
        : await browse(command);
      return { status: 0, stdout: '', stderr: '', ...answer };
    };
    return {
      settings: { environment: {} },
      run,
      output: async (command) => (await run(command)).stdout,
    };
  }

  const target = ({ args }: Command): string =>
    args.find((one) => one.startsWith('--screenshot='))?.slice('--screenshot='.length) ?? '';

  test('is taken by a user that nobody is, in a folder that is gone afterwards', async () => {
    const run = runner(async (command) => {
      await writeFile(target(command), PNG);
      return {};
    });
    expect(await takeScreenshot(run, page, file)).toBeNull();
    expect(await readFile(file)).toEqual(PNG);
    const [browser] = asked;
    expect(browser?.file).toBe('setpriv');
    expect(browser?.args.slice(0, 7)).toEqual([
      '--reuid',
      '1999999000',
      '--regid',
      '1999999000',
      '--clear-groups',
      '--',
      'chromium-headless-shell',
    ]);
    await expect(stat(path.dirname(target(browser as Command)))).rejects.toThrow('ENOENT');
  });

  test('is tried with each name of the browser', async () => {
    const run = runner(async () => ({ status: 127 }));
    expect(await takeScreenshot(run, page, file)).toBe(
      'none of chromium-headless-shell, chrome-headless-shell, chromium, chromium-browser, google-chrome is on the declared path',
    );
  });

  test.each([
    [
      'a page that cannot be loaded',
      'ERROR: Page load failed: net::ERR_NAME_NOT_RESOLVED\nmore',
      /: Page load failed: net::ERR_NAME_NOT_RESOLVED$/,
    ],
    ['a page that does not come', 'ERROR: Page load timed out.', /: Page load timed out$/],
    ['a browser without a sandbox', 'noise\nNo usable sandbox!\n', /no picture; No usable sandbox!$/],
  ])('of %s is none, with the reason', async (_what, stderr, reason) => {
    expect(
      await takeScreenshot(
        runner(async () => ({ stderr })),
        page,
        file,
      ),
    ).toMatch(reason);
  });

  test('that takes too long is none, with the reason', async () => {
    const run = runner(async () => {
      throw new CommandFailed(
        'setpriv chromium',
        { status: null, stdout: '', stderr: '' },
        'not finished after 30000 ms, ended',
      );
    });
    expect(await takeScreenshot(run, page, file)).toContain('not finished after 30000 ms');
  });

  test.each([
    ['a link', (at: string) => symlink('/etc/passwd', at)],
    ['no picture', (at: string) => writeFile(at, 'root:x:0:0')],
  ])('is not taken for what is %s', async (_what, put) => {
    const run = runner(async (command) => {
      await put(target(command));
      return {};
    });
    expect(await takeScreenshot(run, page, file)).toContain('no picture');
    await expect(stat(file)).rejects.toThrow('ENOENT');
  });
});
