import { InvalidArgumentError, type Command } from 'commander';
import { outcomeReason, outcomeTitle, type Outcome } from '../../domain/outcome.ts';
import { recipeRunId } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { Config } from '../../host/config/config.ts';
import { createResults } from '../../host/store/results.ts';
import {
  TEST_WORKFLOW,
  testWorkflowId,
  type RecipeTestResult,
  type TestInput,
} from '../../workflows/protocol.ts';
import { followByHand, startByHand } from '../by-hand.ts';
import { requireWorker } from '../connect.ts';
import { workflowUrl } from '../../host/config/temporal-ui.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { followTest } from '../follow.ts';
import { colourOutcome, nearPath } from '../render/outcomes.ts';
import { renderResult, testedText } from '../render/result.ts';
import { oneLine } from '../render/terminal.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

interface Options {
  pr?: number;
  ref?: string;
  quick?: true;
  json?: true;
}

export function addTestCommand(program: Command, session: Session): void {
  ofHost(program.command('test'))
    .description("test one commit now, by default main's tip, and wait for the outcome; promotes nothing")
    .argument('<recipe>')
    .option('--pr <number>', "the head of this pull request of the recipe's mirror", pullRequestNumber)
    .option('--ref <commit>', 'this commit; with --pr, as the head that is meant', commitId)
    .option('--quick', "on the canonical's data, which is put back afterwards, instead of a cold test")
    .option('--json', 'print the result as JSON; progress goes to stderr')
    .action(async (recipe: string, options: Options, command: Command) => {
      checkRecipeNames([recipe]);
      await withServer(session, command, async (server, config, local) => {
        const { terminal, cwd } = session;
        if (!local) await requireWorker(server, config.host);
        const test = await startByHand(server, {
          host: config.host,
          type: TEST_WORKFLOW,
          idAt: (now) => testWorkflowId(config.host, recipe, now),
          input: inputOf(recipe, options),
          summary: `test by hand: ${recipe}`,
        });
        const url = workflowUrl(config, test);
        const end = await followByHand(session, {
          id: test,
          url,
          json: options.json ?? false,
          follow: (shown, signal) => followTest({ server, test, terminal: shown, signal }),
        });
        if (end === null) return;
        const kept = local ? await keptResult(config, test, recipe) : null;
        if ('failed' in end) {
          const at = kept === null ? '' : `\nresult    ${nearPath(kept.file, cwd)}`;
          throw new CommandStopped(`${test} failed: ${end.failed}${at}\ntemporal  ${url}`);
        }
        const { result } = end;
        if (options.json) printJson(session, { ...result, url, result: kept?.file ?? null });
        else {
          const shown =
            kept === null
              ? toldText(result)
              : renderResult(kept.result, { folder: kept.folder, columns: terminal.columns(), cwd });
          terminal.out(`\n${shown}\n\ntemporal  ${url}`);
        }
        session.exitStatus = exitStatusOf(result.outcome);
      });
    });
}

/** Red: the head is red. None, and superseded: there is no verdict. */
export function exitStatusOf({ kind }: Outcome): number {
  if (kind === 'PASS') return EXIT.ok;
  return kind === 'FAIL' ? EXIT.red : EXIT.none;
}

function pullRequestNumber(text: string): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && Number.isSafeInteger(number) && number > 0) return number;
  throw new InvalidArgumentError('not the number of a pull request');
}

function commitId(text: string): string {
  if (/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text)) return text;
  throw new InvalidArgumentError('not a whole commit ID (git rev-parse prints it)');
}

function inputOf(recipe: string, { pr, ref, quick }: Options): TestInput {
  return {
    recipe,
    ...(pr === undefined ? {} : { pr }),
    ...(ref === undefined ? {} : { ref }),
    ...(quick === undefined ? {} : { quick }),
  };
}

/** What is on this host's disk of it; null where nothing is, or it cannot be read. */
async function keptResult(
  { state }: Pick<Config, 'state'>,
  test: string,
  recipe: string,
): Promise<{ result: RecipeResult; file: string; folder: string } | null> {
  const results = createResults(state);
  const run = recipeRunId(test, recipe);
  const result = await results.read(run).catch(() => null);
  return result && { result, file: results.fileOf(run), folder: results.folderOf(run) };
}

/** Of a test whose files are on another host. */
function toldText({ recipe, outcome, tested, leftovers }: RecipeTestResult): string {
  return [
    `${recipe}: ${colourOutcome(oneLine(outcomeTitle(outcome)))}: ${oneLine(outcomeReason(outcome))}`,
    ...(tested === null ? [] : [`test      ${oneLine(testedText(tested))}`]),
    ...(leftovers === null ? [] : [`left      ${oneLine(leftovers)}`]),
  ].join('\n');
}
