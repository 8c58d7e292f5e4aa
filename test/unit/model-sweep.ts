import { createHash } from 'node:crypto';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { existsSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { CancelledFailure } from '@temporalio/common';
import { expect } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { leftByRecipe } from '../../activities/reap.ts';
import { recipeRunId } from '../../domain/names.ts';
import type { Outcome } from '../../domain/outcome.ts';
import type { RecipeResult } from '../../domain/report.ts';
import type { TurnRequest } from '../../domain/turn.ts';
import { BOUNDARY_CHANNEL } from '../../host/machine/boundary.ts';
import { turnSignal, type TestInput } from '../../workflows/protocol.ts';
import { recipeSweepWorkflow } from '../../workflows/recipe-sweep.ts';
import { recipeTestWorkflow } from '../../workflows/recipe-test.ts';
import type { Break } from './fake-engine.ts';
import type { Machine } from './fake-machine.ts';
import { disk, type MortalProcess } from './mortal-fs.ts';
import { playWorkflow, type Play } from './played-workflow.ts';

/** A sweep or a test of the model: the real run of each recipe, on a machine whose worker dies at a boundary. */

const ATTEMPTS = 3;
const SETTINGS = { attempts: ATTEMPTS, tierMs: 60_000, promoteMs: 60_000, sweepMs: 60_000 };

/** What happens when so many boundaries were passed. */
export interface Strike {
  nth: number;
  kind: 'crash, tried again' | 'crash, terminated' | 'disk full till the end' | 'cancelled' | Break;
}

/** What sweeps and tests did so far; of tests those that said something of their head. */
export const tally = { boundaries: 0, crashes: 0, cancels: 0, broken: 0, cold: 0, quick: 0, struckTests: 0 };

class Terminated extends Error {}

type AnyStep = (input: unknown) => Promise<unknown>;

/** Whoever asks for runs, by its workflow's ID. */
export function createAsker(machine: Machine, id: string, strike: Strike | null) {
  const sweep = { id, runId: `run of ${id}` };
  const holder = { workflowId: id, runId: sweep.runId, what: 'sweep' };
  let worker: MortalProcess = { dead: false };
  let died: () => void = () => undefined;
  let played: Play | null = null;
  let passes = 0;

  const onBoundary = (): void => {
    tally.boundaries += 1;
    passes += 1;
    if (strike === null || passes !== strike.nth) return;
    if (typeof strike.kind === 'object') {
      machine.breaks.push({ ...strike.kind });
      return;
    }
    switch (strike.kind) {
      case 'disk full till the end':
        disk.full = true;
        return;
      case 'cancelled':
        if (played === null) return;
        played.cancelled = true;
        tally.cancels += 1;
        return;
      default:
        tally.crashes += 1;
        worker.dead = true;
        died();
    }
  };

  /** Has a worker do a step, and another worker when that one dies. */
  async function step<T>(attempts: number, body: (activities: Activities) => Promise<T>): Promise<T> {
    for (let number = 1; ; number++) {
      const death = new Promise<'died'>((resolve) => (died = () => resolve('died')));
      const attempt = machine.attempt(worker, number, body).then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      );
      const end = await Promise.race([attempt, death]);
      if (end === 'died') {
        if (strike?.kind === 'crash, terminated') throw new Terminated();
        worker = { dead: false };
      } else if ('value' in end) return end.value;
      else if (number >= attempts || (end.error as { nonRetryable?: boolean }).nonRetryable) throw end.error;
      if (number >= attempts * 2) throw new Error('died too often');
    }
  }

  /** What the recipe's run left on disk; null when it could not. */
  function resultOf(recipe: string): RecipeResult | null {
    const file = path.join(machine.state, 'runs', id, recipe, 'result.json');
    return existsSync(file) ? (JSON.parse(readFileSync(file, 'utf8')) as RecipeResult) : null;
  }

  /** Plays the run of a recipe, until it ends or is terminated. */
  async function run(
    workflowId: string,
    recipe: string,
    workflow: () => Promise<{ outcome: Outcome; unrecorded: string | null }>,
  ): Promise<void> {
    const runId = createHash('sha256').update(workflowId).digest('hex').slice(0, 32);
    let terminated: (error: unknown) => void = () => undefined;
    const termination = new Promise<never>((_resolve, reject) => (terminated = reject));
    const play: Play = {
      workflowId,
      runId,
      cancelled: false,
      handlers: new Map(),
      async step(name, attempts, asked) {
        try {
          const answer = await step(attempts, (activities) =>
            name === 'openTest'
              ? openTest(activities, asked as Parameters<Activities['openTest']>[0])
              : (activities[name as keyof Activities] as AnyStep)(asked),
          );
          // Nobody else asks for the host.
          if (name === 'askForTurn')
            play.handlers.get(turnSignal.name)?.({ number: (asked as TurnRequest).number });
          return answer;
        } catch (error) {
          if (!(error instanceof Terminated)) throw error;
          terminated(error);
          // Nothing of a workflow that was terminated goes on.
          return new Promise<never>(() => undefined);
        }
      },
    };
    played = play;
    const end = playWorkflow(play, workflow).then(
      (result) => ({ result }),
      (error: unknown) => ({ error }),
    );
    const ended = await Promise.race([end, termination]);
    played = null;
    const said = resultOf(recipe)?.outcome;
    if ('error' in ended) {
      if (ended.error instanceof CancelledFailure) throw ended.error;
      // A run that failed has no verdict; and what failed there is a fault of ours or the machine's, not of the test.
      expect(ended.error).toMatchObject({ name: 'ApplicationFailure', nonRetryable: true });
      expect([undefined, 'ERROR']).toContain(said?.kind);
    } else if (ended.result.unrecorded === null) expect(ended.result.outcome).toEqual(said);
  }

  async function recipeRun(recipe: string): Promise<void> {
    const input = { recipe, sweep, settings: SETTINGS, deadlineMs: Date.now() + 60 * 60_000, left: null };
    await run(recipeRunId(id, recipe), recipe, () => recipeSweepWorkflow(input));
  }

  /** Strikes while the body goes on. What was terminated, or broke off of a full disk, has no more to say. */
  async function struck(body: () => Promise<void>): Promise<void> {
    machine.open.add(id);
    subscribe(BOUNDARY_CHANNEL, onBoundary);
    try {
      await body();
    } catch (error) {
      // Terminated; or a disk so full that nobody could take or give back the host.
      if (!(error instanceof Terminated || disk.full)) throw error;
    } finally {
      if (typeof strike?.kind === 'object' && machine.breaks[0]?.times !== strike.kind.times)
        tally.broken += 1;
      machine.breaks.length = 0;
      unsubscribe(BOUNDARY_CHANNEL, onBoundary);
      machine.open.delete(id);
    }
  }

  return {
    /** Only what a worker does when it starts. */
    async reapOnly(): Promise<void> {
      machine.open.add(id);
      await step(ATTEMPTS, ({ reap }) => reap({ holder }));
      await step(ATTEMPTS, ({ giveBackHost }) => giveBackHost({ holder }));
      machine.open.delete(id);
    },

    /** Sweeps these, and answers each one's result; null for those that have none, since the sweep broke off. */
    async sweep<Recipe extends string>(
      recipes: readonly Recipe[],
    ): Promise<Record<Recipe, RecipeResult | null>> {
      await struck(async () => {
        await step(ATTEMPTS, ({ reap }) => reap({ holder }));
        try {
          for (const recipe of recipes) await recipeRun(recipe);
        } catch (error) {
          if (!(error instanceof CancelledFailure)) throw error;
        }
        await step(ATTEMPTS * 2, ({ giveBackHost }) => giveBackHost({ holder }));
      });
      return Object.fromEntries(recipes.map((recipe) => [recipe, resultOf(recipe)])) as Record<
        Recipe,
        RecipeResult | null
      >;
    },

    /** Tests a commit, and answers the result; null where there is none. */
    async test(input: TestInput): Promise<RecipeResult | null> {
      await struck(async () => {
        try {
          await run(id, input.recipe, () => recipeTestWorkflow(input));
        } catch (error) {
          if (!(error instanceof CancelledFailure)) throw error;
        }
      });
      const result = resultOf(input.recipe);
      const kind = result?.outcome.kind;
      if (result?.test && (kind === 'PASS' || kind === 'FAIL')) tally[result.test.mode] += 1;
      if (strike !== null && passes >= strike.nth) tally.struckTests += 1;
      return result;
    },
  };
}

/** As it is, but for what a machine must have. */
async function openTest(
  { reap }: Activities,
  { recipe, holder }: Parameters<Activities['openTest']>[0],
): ReturnType<Activities['openTest']> {
  const left = leftByRecipe((await reap({ holder })).filter(({ kind }) => kind === 'not-reaped'));
  return { settings: SETTINGS, left: left.get(recipe) ?? null };
}
