import type { Command } from 'commander';
import { parseVersion } from '../../domain/version.ts';
import { LEDGER_WORKFLOW, type TagAcceptance } from '../../workflows/protocol.ts';
import { CommandStopped } from '../failure.ts';
import type { Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';
import { whoTypes } from '../who-types.ts';

/** An operator's word on what the ledger alone would refuse; the worker writes it, whose ledger it is. */
export function addLedgerCommands(program: Command, session: Session): void {
  const ledger = program.command('ledger').description("the commit that each release's tag has on record");

  ledger
    .command('accept')
    .description("a release's tag that moved upstream: let it be where it is now; the next sweep goes on")
    .argument('<recipe>')
    .argument('<tag>')
    .requiredOption('--reason <why>', 'kept in the ledger, with who and when')
    .action(async (recipe: string, tag: string, { reason }: { reason: string }, command: Command) => {
      checkRecipeNames([recipe]);
      checkTag(tag);
      if (reason.trim() === '') throw new CommandStopped('--reason is empty: the ledger keeps why, for good');
      const input: TagAcceptance = { recipe, tag, reason, by: whoTypes() };
      const { askWorker } = await import('../ask-worker.ts');
      await askWorker(session, command, {
        workflow: LEDGER_WORKFLOW,
        name: `ledger-accept-${recipe}`,
        input,
        summary: `accept where a tag of ${recipe} is now`,
      });
    });
}

/** What no ledger would take is refused here; whether the tag moved, the worker says. */
function checkTag(tag: string): void {
  if (parseVersion(tag) !== null) return;
  throw new CommandStopped(
    `not a release's tag: ${JSON.stringify(tag)} (x.y.z+app); any other may move, and stops nothing`,
  );
}
