import { constants } from 'node:fs';
import { chown, lstat, mkdtemp, open, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { quotableLine } from '../../domain/printable.ts';
import { CommandFailed, type Finished, type ProcessRunner } from '../machine/process.ts';

/**
 * Takes a picture of an app's page with a headless Chromium, where the declared path has one. The page is
 * untrusted: the browser keeps its sandbox, runs as a user that nobody is, and reaches nothing but the app.
 */

/** The names that it goes by; first those without a user interface, which take a quarter of the time. */
export const BROWSERS = [
  'chromium-headless-shell',
  'chrome-headless-shell',
  'chromium',
  'chromium-browser',
  'google-chrome',
] as const;

/** The page, as a visitor names it. */
export interface Page {
  url: string;
  /** Where the URL's host is to be found; null where names are looked up as usual. */
  address: string | null;
}

/** A user and group ID from the range that systemd leaves to nobody, so that no file and no process is theirs. */
const VISITOR = 1_999_999_000;
const FOLDER = 'recipe-sweep-screenshot-';
/** A folder that is older was left by a worker that died. */
const LEFT_BEHIND_MS = 10 * 60_000;

const TIMEOUT_MS = 30_000;
/** What has not been loaded by then is left out of the picture. */
const LOAD_MS = 15_000;
/** The time that the page's scripts are given, as they see it. */
const SCRIPTS_MS = 5_000;
const LARGEST_PICTURE = 8 * 1024 * 1024;
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');
/** What setpriv leaves with when there is no such program. */
const NO_PROGRAM = 127;

/** The browser's arguments. Its own files, and the picture, go into the folder. */
export function browserArguments({ url, address }: Page, folder: string): string[] {
  const { hostname, port, protocol } = new URL(url);
  const number = port || (protocol === 'https:' ? '443' : '80');
  return [
    '--headless=new',
    '--incognito',
    `--user-data-dir=${path.join(folder, 'profile')}`,
    `--screenshot=${path.join(folder, 'screenshot.png')}`,
    '--window-size=1280,800',
    '--hide-scrollbars',
    `--timeout=${LOAD_MS}`,
    `--virtual-time-budget=${SCRIPTS_MS}`,
    `--host-resolver-rules=MAP ${hostname}:${number} ${address ?? hostname}:${number}, MAP * ~NOTFOUND`,
    // The rules do not hold for what WebRTC sends. The name of its switch has changed.
    '--webrtc-ip-handling-policy=disable_non_proxied_udp',
    '--force-webrtc-ip-handling-policy=disable_non_proxied_udp',
    '--disable-quic',
    // Whether the zone has a trusted certificate says nothing of the package.
    '--ignore-certificate-errors',
    '--disable-background-networking',
    '--disable-component-update',
    '--disable-sync',
    '--disable-extensions',
    '--disable-breakpad',
    '--disable-gpu',
    '--disk-cache-size=1',
    '--mute-audio',
    '--no-first-run',
    '--no-default-browser-check',
    url,
  ];
}

/** Writes the picture to the file. Answers null, or why there is none; throws what ended the runner. */
export async function takeScreenshot(
  commands: ProcessRunner,
  page: Page,
  file: string,
): Promise<string | null> {
  await rm(file, { force: true });
  const folder = await mkdtemp(path.join(tmpdir(), FOLDER));
  try {
    await chown(folder, VISITOR, VISITOR);
    const ended = await browse(commands, page, folder);
    if (ended === null) return `none of ${BROWSERS.join(', ')} is on the declared path`;
    const trouble = /Page load (failed: \S+|timed out)/.exec(ended.stderr)?.[0];
    if (trouble !== undefined) return `${page.url}: ${trouble}`;
    const picture = await readPicture(path.join(folder, 'screenshot.png'));
    if (picture === null) return quotableLine(`${page.url}: no picture; ${lastLine(ended.stderr)}`);
    await writeFile(file, picture);
    return null;
  } catch (error) {
    if (error instanceof CommandFailed) return `the browser: ${quotableLine(error.message)}`;
    throw error;
  } finally {
    await removeFolders(commands, [folder, ...(await leftBehind())]);
  }
}

/** Null when there is no browser. */
async function browse(commands: ProcessRunner, page: Page, folder: string): Promise<Finished | null> {
  for (const browser of BROWSERS) {
    const command = asVisitor([browser, ...browserArguments(page, folder)]);
    const env = { HOME: folder, TMPDIR: folder };
    const ended = await commands.run({ ...command, cwd: folder, env, timeoutMs: TIMEOUT_MS });
    if (ended.status !== NO_PROGRAM) return ended;
  }
  return null;
}

function asVisitor(command: readonly string[]): { file: string; args: string[] } {
  const id = String(VISITOR);
  return { file: 'setpriv', args: ['--reuid', id, '--regid', id, '--clear-groups', '--', ...command] };
}

/** Whoever broke out of the browser could have put anything in its place. */
async function readPicture(file: string): Promise<Buffer | null> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => null);
  if (handle === null) return null;
  try {
    const found = await handle.stat();
    if (!found.isFile() || found.size > LARGEST_PICTURE) return null;
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(found.size), 0, found.size, 0);
    const picture = buffer.subarray(0, bytesRead);
    return picture.subarray(0, PNG.length).equals(PNG) ? picture : null;
  } finally {
    await handle.close();
  }
}

async function leftBehind(): Promise<string[]> {
  const folders = (await readdir(tmpdir())).filter((name) => name.startsWith(FOLDER));
  const old = await Promise.all(
    folders.map(async (name) => {
      const folder = path.join(tmpdir(), name);
      const found = await lstat(folder).catch(() => null);
      const isOurs = found?.isDirectory() === true && found.uid === VISITOR;
      return isOurs && found.mtimeMs < Date.now() - LEFT_BEHIND_MS ? [folder] : [];
    }),
  );
  return old.flat();
}

/** As the visitor, who can remove nothing else, whatever stands in them. */
async function removeFolders(commands: ProcessRunner, folders: readonly string[]): Promise<void> {
  await commands
    .run({ ...asVisitor(['rm', '-rf', '--', ...folders]), cwd: '/', timeoutMs: TIMEOUT_MS })
    // What is left is removed with the next picture.
    .catch(() => undefined);
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}
