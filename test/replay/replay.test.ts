import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { recipeWorkflowId } from '../../workflows/protocol.ts';
import { quietRuntime, WORKFLOW_BUNDLE } from '../workflow/server.ts';

const FOLDER = path.join(import.meta.dirname, 'histories');

quietRuntime();

/** A sweep that began under an earlier version goes on under this one. docs/workflows.md says what to do if not. */
describe('a history recorded by an earlier version replays', () => {
  test.each(readdirSync(FOLDER))('%s', async (file) => {
    const history = JSON.parse(readFileSync(path.join(FOLDER, file), 'utf8')) as unknown;
    // A sweep names its children after itself, and they know what they are called.
    const recipe = /-recipe-(.+)\.json$/.exec(file)?.[1];
    const workflowId = recipe === undefined ? 'sweep' : recipeWorkflowId('sweep', recipe);
    const replayed = Worker.runReplayHistory({ workflowBundle: WORKFLOW_BUNDLE }, history, workflowId);
    await expect(replayed).resolves.toBeUndefined();
  });
});
