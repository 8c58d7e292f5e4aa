import { readFileSync } from 'node:fs';
import { serveFolder } from '../../host/store/seen-comments.ts';
import { CommandStopped } from '../failure.ts';

/** The worker, and `serve`, as systemd services. */

/** One line of a unit's [Service], and why it is there. */
interface Setting {
  name: string;
  value: string;
  why: string;
}

/** What holds for each on every host, in a unit of ours and of nix/module.nix. */
const WORKER_SETTINGS = settingsIn(new URL('worker-service.json', import.meta.url));
const SERVE_SETTINGS = settingsIn(new URL('serve-service.json', import.meta.url));

function settingsIn(file: URL): readonly Setting[] {
  return JSON.parse(readFileSync(file, 'utf8')) as readonly Setting[];
}

/** What differs from host to host; all paths are absolute. */
export interface Place {
  node: string;
  /** bin/recipe-sweep. */
  command: string;
  configFile: string;
  /** Must be mounted before either starts. */
  state: string;
  /** Folders beside `state` that the worker writes in, whether they are there yet or not. */
  written: readonly string[];
  /** The unit of the engine; null when no unit of this host is known to start it. */
  engine: string | null;
}

/** The text of the worker's unit. Throws CommandStopped for a path that cannot be written in one. */
export function workerUnit({ node, command, configFile, state, written, engine }: Place): string {
  return unitOf({
    name: 'recipe-sweep',
    description: 'recipe-sweep worker',
    others: ['network-online.target', ...(engine === null ? [] : [engine])],
    state,
    start: [executable(node), ...[command, 'worker', '--config', configFile].map(argument)],
    paths: [`ReadWritePaths=${[state, ...written].map((folder) => quoted(`-${folder}`)).join(' ')}`],
    settings: WORKER_SETTINGS,
  });
}

/** The text of the unit of `serve`, which writes in its own folder alone, and never reaches the engine at its socket. */
export function serveUnit(
  { node, command, configFile, state }: Omit<Place, 'written' | 'engine'>,
  socket: string,
): string {
  return unitOf({
    name: 'recipe-sweep-serve',
    description: 'recipe-sweep serve',
    others: ['network-online.target'],
    state,
    start: [executable(node), ...[command, 'serve', '--config', configFile].map(argument)],
    paths: [
      `ReadWritePaths=${quoted(`-${serveFolder(state)}`)}`,
      `InaccessiblePaths=${quoted(`-${socket}`)}`,
    ],
    settings: SERVE_SETTINGS,
  });
}

interface Unit {
  name: string;
  description: string;
  /** Units that it starts after. */
  others: readonly string[];
  state: string;
  start: readonly string[];
  paths: readonly string[];
  settings: readonly Setting[];
}

function unitOf({ name, description, others, state, start, paths, settings }: Unit): string {
  return [
    `# Made by recipe-sweep install. Changes of your own belong in a drop-in: systemctl edit ${name}`,
    '[Unit]',
    `Description=${description}`,
    `Wants=${others.join(' ')}`,
    `After=${others.join(' ')}`,
    '# Never on the empty folder below a disk that is not mounted yet.',
    `RequiresMountsFor=${quoted(state)}`,
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${start.join(' ')}`,
    ...paths,
    ...settings.flatMap(({ name: setting, value, why }) => [`# ${why}`, `${setting}=${value}`]),
    '',
    '[Install]',
    'WantedBy=multi-user.target',
    '',
  ].join('\n');
}

/** The first word of a command line, of which systemd accepts less. */
function executable(file: string): string {
  if (/["']/.test(file)) throw unwritable(file, 'quotes');
  return quoted(file);
}

/** Where a variable's value would be put in. */
function argument(text: string): string {
  return quoted(text).replaceAll('$', '$$$$');
}

/** As one word in every setting that takes a list; not all of them know escapes, so there are none. */
function quoted(text: string): string {
  const word = text.replaceAll('%', '%%');
  if (/^[\w./+,:@=%-]+$/.test(word)) return word;
  const quote = ['"', "'"].find((one) => !word.includes(one));
  if (quote === undefined) throw unwritable(text, 'both kinds of quotes');
  if (/[\\\p{Cc}]/u.test(word)) throw unwritable(text, 'a backslash or a control character');
  return `${quote}${word}${quote}`;
}

function unwritable(file: string, what: string): CommandStopped {
  return new CommandStopped(`systemd takes no path with ${what} there: ${JSON.stringify(file)}; move it`);
}
