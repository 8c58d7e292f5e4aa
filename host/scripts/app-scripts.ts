import { randomUUID } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import ms from 'ms';
import { Fault } from '../../domain/fault.ts';
import { endOf, quotableLine } from '../../domain/printable.ts';
import type { Hook } from '../../domain/recipe-settings.ts';
import type { App } from '../../domain/app.ts';
import type { EngineWatch } from '../engine/watch-engine.ts';
import { startOf } from '../machine/executable.ts';
import { CommandFailed, type Finished, type ProcessRunner } from '../machine/process.ts';
import { maskValues } from '../secrets/fingerprint.ts';
import type { Masked } from '../secrets/masker.ts';
import { endMarked, EXEC_MARK } from '../engine/exec.ts';

/**
 * Runs the executables of a recipe's folder: its hooks and checks. They are the operator's and trusted; what the
 * app makes them print is not. Each is run in an empty folder that is gone afterwards, with the declared
 * environment and what it is told of the app, and nothing else of ours.
 */

/** What came of a script that ran. That nothing was learned is thrown as a Fault. */
export type ScriptResult =
  | { result: 'pass' }
  | { result: 'not applicable'; reason: string }
  | { result: 'fail'; reason: string; /** The file that has what it printed. */ evidence: string };

export interface HookOptions {
  /** Told to it besides what every script is told. */
  environment?: Readonly<Record<string, string>>;
  /** Secrets that the stack does not have yet, asked for once the script has ended. */
  secrets?: () => Promise<readonly string[]>;
}

export interface CheckOptions extends HookOptions {
  /** Milliseconds that are left for it, if fewer than a check of the recipe may take. */
  withinMs?: number;
}

export interface AppScripts {
  /** Runs a hook of the recipe; null when it has none of that name. */
  hook(app: App, name: Hook, options?: HookOptions): Promise<ScriptResult | null>;
  /** Runs one check; only checks may be not applicable. */
  check(app: App, file: string, options?: CheckOptions): Promise<ScriptResult>;
}

export interface AppScriptsSettings {
  commands: ProcessRunner;
  /** What the scripts of a deployed app are told; docs/recipes.md lists the names. */
  environment(app: App): Promise<Record<string, string>>;
  /** The text fit to be kept: the app's secrets masked, no colours. */
  fit(app: Masked, text: string): Promise<string>;
  watchEngine(): Promise<EngineWatch>;
  /** Awaited before each script, since it may change things. */
  guard(): Promise<void>;
  report(what: string): void;
  /** When the step ends, milliseconds since the epoch: no script may outlast it. */
  until: number;
}

/** So long before the step's end its scripts end, in milliseconds: what they printed is kept, and judged. */
const RESERVE_MS = 30_000;
/** Whatever is left of it. */
const LEAST_MS = 1_000;

/** Milliseconds that a script may take which is allowed so many, in a step that ends then. */
export function timeWithin(until: number, allowedMs: number): number {
  return Math.min(allowedMs, Math.max(LEAST_MS, until - RESERVE_MS - Date.now()));
}

/** Why what took too long was ended. */
export function tooLong(timeoutMs: number, allowedMs: number): string {
  const left = timeoutMs < allowedMs ? ', which is all that was left of its step' : '';
  return `not finished after ${ms(timeoutMs)}${left}, ended`;
}

/** The folder that stands first in the path of scripts. */
const TOOLS = fileURLToPath(new URL('tools', import.meta.url));

const NOT_APPLICABLE = 77;
/** What a shell, and env, leave with when there is no such program, or none for this machine. */
const NO_PROGRAM = new Set([126, 127]);
/** Of what a script prints the end is kept, in characters. */
const LONGEST_OUTPUT = 1024 * 1024;

interface Script {
  /** As in `hook ready`. */
  what: string;
  file: string;
  /** The file in the app's evidence; what is in it already stays. */
  evidence: string;
  timeoutMs: number;
  /** What the recipe allows it. */
  allowedMs: number;
  options: HookOptions;
}

/** The file in the app's evidence that has what its hook printed. */
export function hookEvidence(app: App, name: Hook): string {
  return path.join(app.evidence, `hook-${name}.txt`);
}

export function createAppScripts({
  commands,
  environment,
  fit,
  watchEngine,
  guard,
  report,
  until,
}: AppScriptsSettings): AppScripts {
  async function start(app: App, script: Script): Promise<Finished | CommandFailed> {
    const told = { ...(await environment(app)), ...script.options.environment };
    const mark = randomUUID();
    await mkdir(app.scratch, { recursive: true, mode: 0o700 });
    const folder = await mkdtemp(path.join(app.scratch, 'script-'));
    try {
      const cwd = path.join(folder, 'work');
      await mkdir(cwd);
      const { file, timeoutMs } = script;
      const env = { ...told, ...(await addressBook(folder, told)), [EXEC_MARK]: mark };
      await guard();
      report(script.what);
      return await commands.run({ file, args: [], cwd, env, timeoutMs, merged: true, toolsFirst: TOOLS });
    } catch (error) {
      // What it began in containers, and what left its process group, does not end with it.
      await endMarked(EXEC_MARK, mark);
      if (error instanceof CommandFailed) return error;
      throw error;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }

  /** What a script says without an engine is nothing that the app did; that it passed is true all the same. */
  async function perform(app: App, script: Script): Promise<ScriptResult> {
    const engine = await watchEngine();
    try {
      const result = await judge(app, script);
      if (result.result !== 'pass') await engine.check(script.what);
      return result;
    } finally {
      engine.close();
    }
  }

  async function judge(app: App, script: Script): Promise<ScriptResult> {
    const { what, file, timeoutMs, allowedMs } = script;
    const started = new Date();
    const ended = await start(app, script);
    const failure = ended instanceof CommandFailed ? ended : null;
    if (failure?.ending === 'not started') throw cannotStart(script, failure.how);
    if (NO_PROGRAM.has(ended.status ?? 0)) await checkInterpreter(script, ended.stdout);

    const how = failure
      ? failure.ending === 'deadline'
        ? tooLong(timeoutMs, allowedMs)
        : failure.how
      : `exit status ${ended.status}`;
    const secrets = (await script.options.secrets?.()) ?? [];
    const printed = endOf(stripVTControlCharacters(ended.stdout), LONGEST_OUTPUT);
    const said = await fit(app, maskValues(printed, secrets));
    const { evidence } = script;
    const lines = [
      `== ${what}: ${file}`,
      `== started ${started.toISOString()}`,
      said.trimEnd(),
      `== ended ${new Date().toISOString()}, ${how}`,
      '',
      '',
    ];
    await appendFile(evidence, lines.join('\n'));

    if (failure?.ending === 'signal') {
      throw new Fault(
        'Daemon',
        `${what} (${file}) was ${failure.how} from outside, so nothing was learned; is this host out of memory?`,
      );
    }
    if (failure === null && ended.status === 0) return { result: 'pass' };
    const last = quotableLine(said.trimEnd().split('\n').at(-1) ?? '');
    if (failure === null && ended.status === NOT_APPLICABLE && what.startsWith('check ')) {
      return { result: 'not applicable', reason: last || 'it gives no reason' };
    }
    return { result: 'fail', reason: quotableLine(`${what}: ${how}${last && `: ${last}`}`), evidence };
  }

  return {
    async hook(app, name, options = {}) {
      const file = app.settings.hooks[name];
      if (file === undefined) return null;
      const allowedMs = app.settings.timeouts.hook;
      const timeoutMs = timeWithin(until, allowedMs);
      const evidence = hookEvidence(app, name);
      return perform(app, { what: `hook ${name}`, file, evidence, timeoutMs, allowedMs, options });
    },

    async check(app, file, { withinMs, ...options } = {}) {
      const name = path.basename(file);
      const allowedMs = app.settings.timeouts.check;
      const timeoutMs = timeWithin(until, Math.min(allowedMs, withinMs ?? Infinity));
      const evidence = path.join(app.evidence, `check-${name}.txt`);
      return perform(app, { what: `check ${name}`, file, evidence, timeoutMs, allowedMs, options });
    },
  };
}

/**
 * Where the app and what it depends on are reached at addresses (X_URL with X_ADDRESS), curl and git are told
 * them, so that a script may use the URLs.
 */
async function addressBook(
  folder: string,
  told: Readonly<Record<string, string>>,
): Promise<Record<string, string>> {
  const entries = Object.entries(told).flatMap(([name, url]) => {
    const address = told[name.replace(/_URL$/, '_ADDRESS')];
    if (!name.endsWith('_URL') || address === undefined || !URL.canParse(url)) return [];
    const { hostname, port, protocol } = new URL(url);
    return [`${hostname}:${port || (protocol === 'https:' ? '443' : '80')}:${address}`];
  });
  if (entries.length === 0) return {};
  await writeFile(path.join(folder, '.curlrc'), entries.map((entry) => `resolve = "${entry}"\n`).join(''));
  return {
    CURL_HOME: folder,
    GIT_CONFIG_COUNT: String(entries.length),
    ...Object.fromEntries(
      entries.flatMap((entry, index) => [
        [`GIT_CONFIG_KEY_${index}`, 'http.curloptResolve'],
        [`GIT_CONFIG_VALUE_${index}`, entry],
      ]),
    ),
  };
}

function cannotStart({ what, file }: Pick<Script, 'what' | 'file'>, why: string): Fault {
  return new Fault(
    'BadConfig',
    `${what} cannot be started: ${why}; see that ${file} is executable (chmod +x) and that what its first line names is on this host`,
  );
}

/** Throws when it was not the script that left, but who looked for its interpreter. */
async function checkInterpreter(script: Script, printed: string): Promise<void> {
  const { isProgram, firstLine } = await startOf(script.file);
  const byEnv = /^#!\s*\S*\/env\s/.test(firstLine) && /^\S*env: .*\n$/.test(printed);
  if (byEnv || isProgram) throw cannotStart(script, printed.trim());
}
