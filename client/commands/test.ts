import { setTimeout as sleep } from 'node:timers/promises';
import { WorkflowExecutionAlreadyStartedError, WorkflowIdReusePolicy } from '@temporalio/client';
import { InvalidArgumentError, type Command } from 'commander';
import { outcomeReason, outcomeTitle, type Outcome } from '../../domain/outcome.ts';
import { recipeRunId } from '../../domain/names.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { Config } from '../../host/config/config.ts';
import { createResults } from '../../host/store/results.ts';
import {
  taskQueueOf,
  TEST_WORKFLOW,
  testWorkflowId,
  type RecipeTestResult,
  type TestInput,
} from '../../workflows/protocol.ts';
import { requireWorker, workflowUrl, type TemporalServer } from '../connect.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { followTest } from '../follow.ts';
import { colourOutcome, nearPath } from '../render/outcomes.ts';
import { renderResult, testedText } from '../render/result.ts';
import { oneLine } from '../render/terminal.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';
import { stopSignal } from '../signals.ts';
import { checkRecipeNames } from './sweep.ts';

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
        const test = await startTest(server, config.host, inputOf(recipe, options));
        const url = workflowUrl(config, test);
        const progress = options.json ? { live: null, out: terminal.err } : terminal;
        progress.out(`${test} started: ${url}`);
        const stop = stopSignal();
        const end = await followTest({ server, test, terminal: progress, signal: stop.signal });
        stop.dispose();
        if ('interrupted' in end) {
          terminal.err(
            `${test} goes on without this terminal. Watch it: recipe-sweep status, or ${url}. Stop it: recipe-sweep abort ${test}`,
          );
          session.exitStatus = EXIT.interrupted;
          return;
        }
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

/** Its second names a test by hand. Where another one has that name already, this one takes the next second's. */
async function startTest({ client }: TemporalServer, host: string, input: TestInput): Promise<string> {
  for (;;) {
    const now = new Date();
    const workflowId = testWorkflowId(host, input.recipe, now);
    try {
      await client.workflow.start(TEST_WORKFLOW, {
        workflowId,
        taskQueue: taskQueueOf(host),
        args: [input],
        workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
        staticSummary: `test by hand: ${input.recipe}`,
      });
      return workflowId;
    } catch (error) {
      if (!(error instanceof WorkflowExecutionAlreadyStartedError)) throw error;
      await sleep(1000 - now.getMilliseconds());
    }
  }
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
