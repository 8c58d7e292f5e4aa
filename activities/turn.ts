import type { TurnRequest } from '../domain/turn.ts';
import { inAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** What the workflows of a host ask of the Temporal server about its turns. */
export function turn(world: World) {
  return {
    /** Asks for the host, and starts the workflow that grants it where none runs. Answers that workflow's ID. */
    async askForTurn(request: TurnRequest): Promise<string> {
      const { tests_between: tests } = world.config.limits;
      const asked = request.asker === 'sweep' ? { ...request, tests } : request;
      return inAttempt(world, () => world.turns.ask(asked));
    },

    /** Who holds the host's lock, as it would have asked for its turn; null when nobody does, or only a reaper. */
    async lockHolder(): Promise<TurnRequest | null> {
      return inAttempt(world, async () => {
        const holder = await world.lock.current();
        if (holder === null || holder.what === 'reap') return null;
        const { workflowId, runId, what, since } = holder;
        const workflow = { id: workflowId, runId };
        // It gives the lock back before it asks for its next turn, so whatever it asks for is the next one.
        const number = 0;
        return {
          workflow,
          asker: what === 'sweep' || what === 'test' ? what : 'hand',
          what,
          number,
          sinceMs: Date.parse(since),
        };
      });
    },

    /** Those of these workflows that are open no more. */
    async endedWorkflows({
      workflows,
    }: {
      workflows: TurnRequest['workflow'][];
    }): Promise<TurnRequest['workflow'][]> {
      return inAttempt(world, async () => {
        const ended: TurnRequest['workflow'][] = [];
        for (const workflow of workflows) if (!(await world.turns.isOpen(workflow))) ended.push(workflow);
        return ended;
      });
    },
  };
}
