import { readFileSync } from 'node:fs';
import { CommandStopped } from '../failure.ts';

/** The worker as a systemd service. */

/** One line of the unit's [Service], and why it is there. */
interface Setting {
  name: string;
  value: string;
  why: string;
}

/** What holds for the worker on every host, in a unit of ours and of nix/module.nix. */
const SETTINGS = JSON.parse(
  readFileSync(new URL('worker-service.json', import.meta.url), 'utf8'),
) as readonly Setting[];

/** What differs from host to host; all paths are absolute. */
export interface Place {
  node: string;
  /** bin/recipe-sweep. */
  command: string;
  configFile: string;
  /** Must be mounted before the worker starts. */
  state: string;
  /** Folders beside `state` that the worker writes in, whether they are there yet or not. */
  written: readonly string[];
  /** The unit of the engine; null when no unit of this host is known to start it. */
  engine: string | null;
}

/** The text of the unit. Throws CommandStopped for a path that cannot be written in one. */
export function workerUnit({ node, command, configFile, state, written, engine }: Place): string {
  const others = ['network-online.target', ...(engine === null ? [] : [engine])].join(' ');
  const start = [executable(node), ...[command, 'worker', '--config', configFile].map(argument)].join(' ');
  return [
    '# Made by recipe-sweep install. Changes of your own belong in a drop-in: systemctl edit recipe-sweep',
    '[Unit]',
    'Description=recipe-sweep worker',
    `Wants=${others}`,
    `After=${others}`,
    '# Never on the empty folder below a disk that is not mounted yet.',
    `RequiresMountsFor=${quoted(state)}`,
    '',
    '[Service]',
    'Type=exec',
    `ExecStart=${start}`,
    `ReadWritePaths=${[state, ...written].map((folder) => quoted(`-${folder}`)).join(' ')}`,
    ...SETTINGS.flatMap(({ name, value, why }) => [`# ${why}`, `${name}=${value}`]),
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
