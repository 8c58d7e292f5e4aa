import type { TurnRequest } from '../domain/turn.ts';
import { inAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** What the workflows of a host ask of the Temporal server about its turns. */
export function turn(world: World) {
  return {
    /** Asks for the host, and starts the workflow that grants it where none runs. Answers that workflow's ID. */
    async askForTurn(request: TurnRequest): Promise<string> {
      return inAttempt(world, () => world.turns.ask(request));
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
