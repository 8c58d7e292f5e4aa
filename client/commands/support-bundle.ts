import os from 'node:os';
import path from 'node:path';
import { Command } from 'commander';
import { formatBytes } from '../../domain/bytes.ts';
import type { Config } from '../../host/config/config.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { endOfFileBelow } from '../../host/machine/below-folder.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { folderName } from '../../host/store/places.ts';
import { connect } from '../connect.ts';
import { EXIT } from '../failure.ts';
import { explain } from '../temporal-failure.ts';
import { renderTable } from '../render/table.ts';
import { oneLine, safeLines } from '../render/terminal.ts';
import { configFileOf, configOf, type Session } from '../session.ts';
import { pack } from '../support/archive.ts';
import { createBundle, withinAMinute, type Bundle } from '../support/bundle.ts';
import { keysOf, secretsOf } from '../support/configuration.ts';
import { maskOf } from '../support/mask.ts';
import { addLines, addListing, addState, MOST_BYTES } from '../support/state.ts';
import { addEngine, addVersions } from '../support/versions.ts';
import { addWorkflows } from '../support/workflows.ts';
import { addDoctorCommand } from './doctor.ts';
import { addRecipeCommands } from './recipe.ts';
import { addScheduleCommands } from './schedule.ts';
import { addStatusCommand } from './status.ts';

export function addSupportBundleCommand(program: Command, session: Session): void {
  program
    .command('support-bundle')
    .description('one file with what a maintainer needs to help, without secrets')
    .option('--output <file>', 'default: recipe-sweep-support-<host>-<time>.tar.gz in this folder')
    .action(async ({ output }: { output?: string }, command: Command) => {
      // Without what it knows to be secret nothing that the configuration leads to is told.
      const { config, secrets, refused } = await withinAMinute(async () => {
        const read = await configOf(session, command);
        return { config: read, secrets: await secretsOf(read), refused: '' };
      }).catch((error: unknown) => ({ config: null, secrets: [], refused: explain(error) }));
      const madeAt = new Date();
      const name = bundleName(config?.host ?? os.hostname(), madeAt);
      const file = path.resolve(session.cwd, output ?? `${name}.tar.gz`);
      const commands = processRunner({
        environment: config ? declaredEnvironment(config) : { PATH: process.env['PATH'] ?? '' },
      });
      const bundle = createBundle(maskOf(secrets));
      await addVersions(bundle, commands, madeAt);
      await bundle.gather("the worker's log", async () => {
        const args = ['--unit=recipe-sweep', `--lines=${LOG_LINES}`, '--output=cat', '--no-pager', '--quiet'];
        const text = await commands.output({ file: 'journalctl', args, timeoutMs: LOG_MS });
        if (text === '') bundle.lacks("the worker's log", 'the journal has nothing of recipe-sweep.service');
        else addLines(bundle, 'worker-log.jsonl', { text, bytes: text.length });
      });
      if (config === null) {
        bundle.lacks('the configuration, and all that it leads to', refused);
        await bundle.gather('configuration-keys.json', async () => {
          const keys = await keysOf(await configFileOf(session, command));
          if (keys !== null) bundle.addJson('configuration-keys.json', keys);
        });
      } else {
        await addHost(bundle, config, await configFileOf(session, command));
      }
      if (bundle.missing.length > 0) bundle.addText('missing.txt', `${bundle.missing.join('\n')}\n`);
      const { isWaitedFor } = bundle.close();
      const bytes = await pack(commands, file, name, bundle.pieces);
      session.terminal.out(renderBundle(file, bytes, bundle));
      // What is late is in nobody's bundle, and keeps no command from its end.
      if (isWaitedFor) setTimeout(() => process.exit(), LATE_MS).unref();
    });
}

const LOG_LINES = 5_000;
const LOG_MS = 30_000;
const LATE_MS = 1_000;

function bundleName(host: string, madeAt: Date): string {
  const time = madeAt
    .toISOString()
    .replace(/\.\d+Z$/, 'Z')
    .replaceAll(':', '');
  return `recipe-sweep-support-${folderName(host)}-${time}`;
}

/** All that the configuration leads to. */
async function addHost(bundle: Bundle, config: Config, configFile: string): Promise<void> {
  bundle.addJson('configuration.json', config);
  const add = async (
    name: string,
    commandOf: (program: Command, session: Session) => void,
    ...args: string[]
  ): Promise<void> => {
    await bundle.gather(name, async () => {
      bundle.addJson(name, await printed(commandOf, [...args, '--json'], configFile));
    });
  };
  await add('doctor.json', addDoctorCommand, 'doctor');
  await bundle.gather('workflows.json, status.json, schedule.json', async () => {
    const server = await connect(config);
    try {
      await bundle.gather('workflows.json', () => addWorkflows(bundle, server, config.host));
    } finally {
      await server.close();
    }
    await add('status.json', addStatusCommand, 'status');
    await add('schedule.json', addScheduleCommands, 'schedule', 'show');
  });
  await addEngine(bundle, config.docker.socket);
  await addListing(bundle, 'recipes.txt', config.recipes);
  await add('recipes.json', addRecipeCommands, 'recipe', 'check');
  await bundle.gather('recipes', async () => {
    for (const { recipe, problem } of await createRecipes(config.recipes).all()) {
      // What is wrong with the others says recipes.json.
      if (problem === null) await add(`recipes/${recipe}.json`, addRecipeCommands, 'recipe', 'show', recipe);
    }
  });
  await addState(bundle, config.state);
  await bundle.gather('dev/worker.log', async () => {
    const found = await endOfFileBelow(config.state, 'dev/worker.log', MOST_BYTES);
    if (found !== null) addLines(bundle, 'dev-worker-log.jsonl', found);
  });
}

/** The document that a reading command prints, as whoever types it would see it. */
async function printed(
  commandOf: (program: Command, session: Session) => void,
  args: readonly string[],
  configFile: string,
): Promise<unknown> {
  const out: string[] = [];
  const terminal = {
    out: (text: string) => void out.push(text),
    err: () => undefined,
    live: null,
    columns: () => null,
  };
  const program = new Command().option('--config <file>').exitOverride();
  commandOf(program, { terminal, cwd: path.dirname(configFile), exitStatus: EXIT.ok });
  await program.parseAsync(['--config', configFile, ...args], { from: 'user' });
  return JSON.parse(out.join('\n'));
}

function renderBundle(file: string, bytes: number, { pieces, missing }: Bundle): string {
  const sums = new Map<string, { files: number; size: number }>();
  for (const { name, text } of pieces) {
    const parts = name.split('/');
    const at =
      parts.length > 2 ? `${parts.slice(0, 2).join('/')}/` : parts.length > 1 ? `${parts[0]}/` : name;
    const { files, size } = sums.get(at) ?? { files: 0, size: 0 };
    sums.set(at, { files: files + 1, size: size + Buffer.byteLength(text) });
  }
  const rows = [...sums].map(([at, { files, size }]) => [
    oneLine(at),
    at.endsWith('/') ? (files === 1 ? '1 file' : `${files} files`) : '',
    formatBytes(size),
  ]);
  const lacks =
    missing.length === 0 ? [] : ['', 'not in it (missing.txt):', ...missing.map((line) => `  ${line}`)];
  return [
    `${safeLines(file)}, ${formatBytes(bytes)}`,
    '',
    renderTable(['what', '', 'size'], rows),
    ...lacks.map(safeLines),
    '',
    'Credentials are masked as far as they can be told from other words. Look through it before you send it:',
    `  tar -xzf ${safeLines(file)}`,
  ].join('\n');
}
