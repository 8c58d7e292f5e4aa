import { Command, CommanderError } from 'commander';
import { addCanonicalCommands } from './commands/canonical.ts';
import { addConfigCommands } from './commands/config.ts';
import { addDoctorCommand } from './commands/doctor.ts';
import { addInstallCommand } from './commands/install.ts';
import { addLedgerCommands } from './commands/ledger.ts';
import { addNamespaceCommand } from './commands/namespace.ts';
import { addPlanCommand } from './commands/plan.ts';
import { addRecipeCommands } from './commands/recipe.ts';
import { addResultsCommand } from './commands/results.ts';
import { addScheduleCommands } from './commands/schedule.ts';
import { addServeCommand } from './commands/serve.ts';
import { addStatusCommand } from './commands/status.ts';
import { addSteerCommands } from './commands/steer.ts';
import { addSupportBundleCommand } from './commands/support-bundle.ts';
import { addSweepCommand } from './commands/sweep.ts';
import { addTestCommand } from './commands/test.ts';
import { addWorkerCommands } from './commands/worker.ts';
import { CommandStopped, EXIT, explain } from './failure.ts';
import { safeLines, type Terminal } from './render/terminal.ts';
import type { Session } from './session.ts';
import { VERSION } from './version.ts';

/** Runs one command line and answers its exit status. Whatever goes wrong is said in words, on stderr. */
export async function runCommand(
  args: readonly string[],
  terminal: Terminal,
  cwd = process.cwd(),
): Promise<number> {
  const session: Session = { terminal, cwd, exitStatus: EXIT.ok };
  const program = buildProgram(session);
  try {
    await program.parseAsync([...args], { from: 'user' });
    return session.exitStatus;
  } catch (error) {
    // commander has printed its own message, or the help that was asked for.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.none;
    terminal.err(`recipe-sweep: ${safeLines(explain(error))}`);
    if (program.opts<{ verbose?: boolean }>().verbose && error instanceof Error) {
      terminal.err(safeLines(error.stack ?? ''));
    }
    return error instanceof CommandStopped ? error.exitStatus : EXIT.none;
  }
}

function buildProgram(session: Session): Command {
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
  addSweepCommand(program, session);
  addTestCommand(program, session);
  addPlanCommand(program, session);
  addStatusCommand(program, session);
  addSteerCommands(program, session);
  addResultsCommand(program, session);
  addCanonicalCommands(program, session);
  addLedgerCommands(program, session);
  addRecipeCommands(program, session);
  addNamespaceCommand(program, session);
  addScheduleCommands(program, session);
  addWorkerCommands(program, session);
  addServeCommand(program, session);
  addInstallCommand(program, session);
  addConfigCommands(program, session);
  addDoctorCommand(program, session);
  addSupportBundleCommand(program, session);
  return program;
}
