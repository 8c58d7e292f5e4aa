import type { Command } from 'commander';
import { PLAN_WORKFLOW, taskQueueOf, type PlanEntry, type SweepInput } from '../../workflows/protocol.ts';
import { requireWorker, type TemporalServer } from '../connect.ts';
import { EXIT } from '../failure.ts';
import { renderPlan } from '../render/plan.ts';
import { ofHost, printJson, withServer, type Session } from '../session.ts';
import { checkRecipeNames } from '../recipe-names.ts';

export function addPlanCommand(program: Command, session: Session): void {
  ofHost(program.command('plan'))
    .description('what a sweep would do now, and why; deploys nothing')
    .argument('[recipe...]')
    .option('--json')
    .action(async (recipes: string[], options: { json?: true }, command: Command) => {
      checkRecipeNames(recipes);
      const entries = await withServer(session, command, async (server, { host }) =>
        plan(server, host, recipes),
      );
      if (options.json) printJson(session, entries);
      else session.terminal.out(renderPlan(entries, session.terminal.columns()));
      if (entries.some(({ decision }) => decision === 'error')) session.exitStatus = EXIT.none;
    });
}

async function plan(server: TemporalServer, host: string, recipes: string[]): Promise<PlanEntry[]> {
  await requireWorker(server, host);
  const input: SweepInput = recipes.length === 0 ? {} : { recipes };
  return (await server.client.workflow.execute(PLAN_WORKFLOW, {
    workflowId: `plan-${host}-${new Date().toISOString()}`,
    taskQueue: taskQueueOf(host),
    args: [input],
    staticSummary: 'what a sweep would do now',
  })) as PlanEntry[];
}
