import { mkdtemp, readFile, rm } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { ApplicationFailure, CancelledFailure, log } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openLog } from '../../host/machine/log.ts';
import { inOurWords, temporalLogger } from '../../worker/log.ts';
import { logsSteps } from '../../worker/step-log.ts';

const SWEEP = 'sweep-ci-1-2025-03-02T03:00:00Z';
/** As Temporal's library describes every attempt of an activity in its log. */
const OF_ACTIVITY = {
  sdkComponent: 'activity',
  namespace: 'default',
  taskQueue: 'recipe-sweep-ci-1',
  taskToken: 'CgRmYWtl',
  isLocal: false,
  activityId: '5',
  activityType: 'mirrorSync',
  attempt: 2,
  workflowId: `${SWEEP}/gitea`,
  workflowRunId: '0195542d-3d8f-7a51-b2c4-6f0c2a9d1e57',
  workflowType: 'recipeSweepWorkflow',
};
/** The same of a workflow. */
const OF_WORKFLOW = {
  sdkComponent: 'worker',
  namespace: 'default',
  taskQueue: 'recipe-sweep-ci-1',
  workflowId: SWEEP,
  runId: '0195542d-3d8f-7a51-b2c4-6f0c2a9d1e57',
  workflowType: 'sweepWorkflow',
};
const GITEA = { recipe: 'gitea', sweep: SWEEP, run: `${SWEEP}/gitea` };

test.each([
  ['a step', OF_ACTIVITY, { ...GITEA, step: 'mirrorSync', attempt: 2 }],
  [
    'a step that said its name, and sees to another recipe',
    { ...OF_ACTIVITY, step: 'mirror-sync', recipe: 'ghost' },
    { ...GITEA, step: 'mirror-sync', attempt: 2 },
  ],
  ['a sweep', OF_WORKFLOW, { sweep: SWEEP }],
  ['a test', { ...OF_WORKFLOW, workflowType: 'recipeTestWorkflow', workflowId: 'mine' }, { test: 'mine' }],
  [
    'any other workflow, though its name looks like a run',
    { ...OF_WORKFLOW, workflowType: 'planWorkflow', workflowId: 'plan/gitea' },
    { workflow: 'plan/gitea' },
  ],
  [
    'a reaper that says of whom',
    { ...OF_WORKFLOW, workflowType: 'reapWorkflow', workflowId: 'reap-ci-1', recipe: 'gitea' },
    { workflow: 'reap-ci-1', recipe: 'gitea' },
  ],
  [
    'the worker itself',
    { sdkComponent: 'worker', namespace: 'default', state: 'RUNNING' },
    { state: 'RUNNING' },
  ],
  [
    'a failure of ours',
    { error: ApplicationFailure.create({ type: 'Registry', message: 'no answer\nfrom it' }) },
    { type: 'Registry', error: 'no answer\nfrom it' },
  ],
  [
    'what a workflow failed with for a step of it',
    {
      ...OF_WORKFLOW,
      error: Object.assign(new Error('not enrolled'), {
        stack: 'ApplicationFailure: not enrolled\n    at x',
      }),
    },
    { sweep: SWEEP, error: 'not enrolled' },
  ],
  ['what was thrown and is no error', { error: 'nonsense' }, { error: 'nonsense' }],
])('%s', (_what, meta, words) => {
  expect(inOurWords(meta)).toEqual(words);
});

test('an error that nobody expected says where it came from', () => {
  const { type, error, stack } = inOurWords({ error: new RangeError('out of it') });
  expect({ type, error }).toEqual({ type: 'RangeError', error: 'out of it' });
  expect(stack).toContain('worker-log.test.ts');
});

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'worker-log-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** The lines of one attempt of a step: what stands in the log's file, without its times. */
async function linesOf(
  activityType: string,
  input: unknown,
  body: (environment: MockActivityEnvironment) => Promise<unknown>,
): Promise<Record<string, unknown>[]> {
  const file = path.join(folder, 'worker.log');
  const environment = new MockActivityEnvironment(
    {
      activityType,
      attempt: 2,
      workflowType: 'recipeSweepWorkflow',
      workflowExecution: { workflowId: `${SWEEP}/gitea`, runId: 'r' },
    },
    { logger: temporalLogger(openLog('ci-1', file)), interceptors: [logsSteps] },
  );
  await environment.run(() => body(environment), input).catch(() => undefined);
  const text = await readFile(file, 'utf8').catch(() => '');
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const { time, ms, ...rest } = JSON.parse(line) as Record<string, unknown>;
      expect(time).toBe(new Date(String(time)).toISOString());
      return { ...rest, ...(ms === undefined ? {} : { ms: typeof ms }) };
    });
}

const ALWAYS = { host: 'ci-1', ...GITEA, attempt: 2 };

test('a step logs its beginning, what it says, and its end, each with whose it is', async () => {
  const input = { run: { recipe: 'gitea' }, token: 'hunter2' };
  const lines = await linesOf('promote', input, async () => {
    log.info('taking a snapshot', { bytes: 5 });
    return { promoted: true, token: 'hunter2' };
  });
  const step = 'promote';
  expect(lines).toEqual([
    { level: 'info', ...ALWAYS, step, msg: 'step begins' },
    { level: 'info', ...ALWAYS, step, bytes: 5, msg: 'taking a snapshot' },
    { level: 'info', ...ALWAYS, step, outcome: 'done', ms: 'number', msg: 'step ends' },
  ]);
});

test('what a step says of itself is there, also where it took its time, or is called as a line of the library', async () => {
  const lines = await linesOf('promote', undefined, async () => {
    log.info('pulled', { durationMs: 5 });
    log.warn('Activity failed', { durationMs: 6 });
  });
  expect(lines.slice(1, -1)).toEqual([
    { level: 'info', ...ALWAYS, step: 'promote', durationMs: 5, msg: 'pulled' },
    { level: 'warn', ...ALWAYS, step: 'promote', durationMs: 6, msg: 'Activity failed' },
  ]);
});

test.each([
  [
    'red',
    'coldInstall',
    async () => ({ result: 'fail', reason: 'app: exited with 1' }),
    { level: 'info', outcome: 'red', why: 'app: exited with 1' },
  ],
  [
    'red of a promote',
    'promote',
    async () => ({ promoted: false, why: 'app: exited with 1' }),
    { level: 'info', outcome: 'red', why: 'app: exited with 1' },
  ],
  [
    'a failure that is tried again',
    'mirrorSync',
    async () => {
      throw ApplicationFailure.create({ type: 'MirrorSync', message: 'upstream\ndoes not answer' });
    },
    {
      level: 'warn',
      outcome: 'failed',
      retryable: true,
      type: 'MirrorSync',
      error: 'upstream\ndoes not answer',
    },
  ],
  [
    'one that is not',
    'mirrorSync',
    async () => {
      throw ApplicationFailure.create({ type: 'TagMoved', message: 'elsewhere', nonRetryable: true });
    },
    { level: 'warn', outcome: 'failed', retryable: false, type: 'TagMoved', error: 'elsewhere' },
  ],
  [
    'a cancellation',
    'coldBackup',
    async (environment: MockActivityEnvironment) => {
      environment.cancel();
      throw new CancelledFailure('waiting: cancelled');
    },
    { level: 'info', outcome: 'cancelled' },
  ],
])('the end of a step: %s', async (_what, type, body, end) => {
  const lines = await linesOf(type, { recipe: 'gitea', step: 'cold-test: of it' }, body);
  expect(lines).toHaveLength(2);
  expect(lines[1]).toEqual({ ...ALWAYS, step: 'cold-test: of it', ms: 'number', msg: 'step ends', ...end });
});

test('of small questions only a failure is told', async () => {
  expect(await linesOf('lockHolder', undefined, async () => null)).toEqual([]);
  const lines = await linesOf('lockHolder', undefined, async () => {
    throw ApplicationFailure.create({ type: 'Network', message: 'no answer' });
  });
  expect(lines).toMatchObject([{ step: 'lockHolder', outcome: 'failed', error: 'no answer' }]);
});
