import type { Command } from 'commander';
import { PLAN_WORKFLOW, TASK_QUEUE, type PlanEntry, type SweepInput } from '../../workflows/protocol.ts';
import { requireWorker, type TemporalServer } from '../connect.ts';
import { EXIT } from '../failure.ts';
import { renderPlan } from '../render/plan.ts';
import { printJson, withServer, type Session } from '../session.ts';
import { checkRecipeNames } from './sweep.ts';

export function addPlanCommand(program: Command, session: Session): void {
  program
    .command('plan')
    .description('what a sweep would do now, and why; deploys nothing')
    .argument('[recipe...]')
    .option('--json')
    .action(async (recipes: string[], options: { json?: true }, command: Command) => {
      checkRecipeNames(recipes);
      const entries = await withServer(session, command, async (server) => plan(server, recipes));
      if (options.json) printJson(session, entries);
      else session.terminal.out(renderPlan(entries, session.terminal.columns()));
      if (entries.some(({ decision }) => decision === 'error')) session.exitStatus = EXIT.none;
    });
}

async function plan(server: TemporalServer, recipes: string[]): Promise<PlanEntry[]> {
  await requireWorker(server);
  const input: SweepInput = recipes.length === 0 ? {} : { recipes };
  return (await server.client.workflow.execute(PLAN_WORKFLOW, {
    workflowId: `plan-${new Date().toISOString()}`,
    taskQueue: TASK_QUEUE,
    args: [input],
    staticSummary: 'what a sweep would do now',
  })) as PlanEntry[];
}
