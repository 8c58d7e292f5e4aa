import { Command, CommanderError } from 'commander';
import { CommandStopped, EXIT } from './failure.ts';
import { safeLines, type Terminal } from './render/terminal.ts';
import type { Session } from './session.ts';
import { VERSION } from '../host/version.ts';

/** Adds commands of one file to the program. */
type Add = (program: Command, session: Session) => void;

/** Files of commands in the order of the help, by what they add; each is read only where it is meant. */
const COMMANDS: readonly { adds: readonly string[]; load: () => Promise<Add> }[] = [
  { adds: ['sweep'], load: async () => (await import('./commands/sweep.ts')).addSweepCommand },
  { adds: ['test'], load: async () => (await import('./commands/test.ts')).addTestCommand },
  { adds: ['plan'], load: async () => (await import('./commands/plan.ts')).addPlanCommand },
  { adds: ['status'], load: async () => (await import('./commands/status.ts')).addStatusCommand },
  {
    adds: ['pause', 'resume', 'abort', 'skip'],
    load: async () => (await import('./commands/steer.ts')).addSteerCommands,
  },
  { adds: ['results'], load: async () => (await import('./commands/results.ts')).addResultsCommand },
  { adds: ['alert'], load: async () => (await import('./commands/alert.ts')).addAlertCommands },
  { adds: ['canonical'], load: async () => (await import('./commands/canonical.ts')).addCanonicalCommands },
  { adds: ['service'], load: async () => (await import('./commands/service.ts')).addServiceCommands },
  { adds: ['ledger'], load: async () => (await import('./commands/ledger.ts')).addLedgerCommands },
  { adds: ['recipe'], load: async () => (await import('./commands/recipe.ts')).addRecipeCommands },
  { adds: ['namespace'], load: async () => (await import('./commands/namespace.ts')).addNamespaceCommand },
  { adds: ['schedule'], load: async () => (await import('./commands/schedule.ts')).addScheduleCommands },
  { adds: ['worker', 'dev'], load: async () => (await import('./commands/worker.ts')).addWorkerCommands },
  { adds: ['serve'], load: async () => (await import('./commands/serve.ts')).addServeCommand },
  { adds: ['install'], load: async () => (await import('./commands/install.ts')).addInstallCommand },
  { adds: ['config'], load: async () => (await import('./commands/config.ts')).addConfigCommands },
  { adds: ['doctor'], load: async () => (await import('./commands/doctor.ts')).addDoctorCommand },
  {
    adds: ['support-bundle'],
    load: async () => (await import('./commands/support-bundle.ts')).addSupportBundleCommand,
  },
];

/** Runs one command line and answers its exit status. Whatever goes wrong is said in words, on stderr. */
export async function runCommand(
  args: readonly string[],
  terminal: Terminal,
  cwd = process.cwd(),
): Promise<number> {
  const session: Session = { terminal, cwd, exitStatus: EXIT.ok };
  const program = await buildProgram(session, commandOf(args));
  try {
    await program.parseAsync([...args], { from: 'user' });
    return session.exitStatus;
  } catch (error) {
    // commander has printed its own message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.none;
    if (error instanceof CommandStopped) {
      terminal.err(`recipe-sweep: ${safeLines(error.message)}`);
      return error.exitStatus;
    }
    const { explain } = await import('./temporal-failure.ts');
    terminal.err(`recipe-sweep: ${safeLines(explain(error))}`);
    if (program.opts<{ verbose?: boolean }>().verbose && error instanceof Error) {
      terminal.err(safeLines(error.stack ?? ''));
    }
    return EXIT.none;
  }
}

/** The first word that is neither an option nor an option's value; none where the help before it is of the program. */
function commandOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg, index) => !arg.startsWith('-') && args[index - 1] !== '--config');
  const before = args.slice(0, at);
  return before.includes('--help') || before.includes('-h') ? undefined : args[at];
}

/** With the command that is meant, which takes half as long to load as all of them; with all where none is. */
async function buildProgram(session: Session, meant: string | undefined): Promise<Command> {
  const program = new Command('recipe-sweep')
    .description('Proves releases of Co-op Cloud recipes on this host, and keeps a canonical of each.')
    .version(VERSION, '--version')
    .option('--config <file>', 'default: ./recipe-sweep.yml, then /etc/recipe-sweep/recipe-sweep.yml')
    .option('--verbose', 'show the stack of an unexpected error')
    .helpCommand(false)
    .showHelpAfterError('(recipe-sweep --help lists the commands)')
    .configureOutput({
      writeOut: (text) => session.terminal.out(text.trimEnd()),
      writeErr: (text) => session.terminal.err(text.trimEnd()),
    })
    .exitOverride();
  const found = COMMANDS.filter(({ adds }) => meant !== undefined && adds.includes(meant));
  for (const { load } of found.length > 0 ? found : COMMANDS) (await load())(program, session);
  return program;
}
