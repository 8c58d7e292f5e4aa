import { setTimeout as sleep } from 'node:timers/promises';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { ApplicationFailure } from '@temporalio/common';
import { WorkflowFailedError, type Client } from '@temporalio/client';
import { SEARCH_ATTRIBUTES, taskQueueOf } from '../../workflows/protocol.ts';
import { rootFailure } from '../../workflows/input.ts';
import type { Activities } from '../../activities/index.ts';
import { createTurns } from '../../worker/turns.ts';
import type { FakeHost } from './fake-host.ts';

/** A real dev server and the real workflows; the steps are a fake host's. */
export interface WorkflowServer {
  client: Client;
  /** Whether nobody can ask for its turn now. */
  turns: { fails: boolean };
  /** Where the server speaks gRPC, without TLS. */
  address: string;
  /** Runs the body with a worker whose steps that host answers. */
  withWorker<T>(host: FakeHost, body: () => Promise<T>): Promise<T>;
  close(): Promise<void>;
}

/** The host whose worker answers here. */
export const HOST = 'ci-1';
export const TASK_QUEUE = taskQueueOf(HOST);

/** As the configuration says by itself. */
const TESTS_BETWEEN = 2;

/** Events of one history. Low enough that a sweep of a few recipes continues as new. */
export const SUGGEST_CONTINUE_AS_NEW = 60;

/** What a worker loads: made by `npm run build`, which the tests' global set-up does. */
export const WORKFLOW_BUNDLE = {
  codePath: new URL('../../dist/workflow-bundle.js', import.meta.url).pathname,
};

/** The steps of these tests fail on purpose; only what is unexpected is printed. */
export function quietRuntime(): void {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
}

/** The turns are real: they are between the workflows and the server alone. */
function turnSteps(
  client: Client,
  behaviour: { fails: boolean },
): Pick<Activities, 'askForTurn' | 'endedWorkflows'> {
  const turns = createTurns(client, HOST);
  return {
    async askForTurn(request) {
      if (behaviour.fails) throw ApplicationFailure.nonRetryable('the server does not answer', 'Network');
      return turns.ask({ ...request, tests: TESTS_BETWEEN });
    },
    async endedWorkflows({ workflows }) {
      const open = await Promise.all(workflows.map((workflow) => turns.isOpen(workflow)));
      return workflows.filter((_, place) => !open[place]);
    },
  };
}

/** With what a workflow failed in the end. */
export async function failureOf(promise: Promise<unknown>): Promise<Error> {
  const error: unknown = await promise.then(
    () => new Error('did not fail'),
    (reason: unknown) => reason,
  );
  return rootFailure(error instanceof WorkflowFailedError ? error.cause : error) as Error;
}

export async function until(what: string, isSo: () => Promise<boolean>): Promise<void> {
  const deadline = Date.now() + 60_000;
  while (!(await isSo().catch(() => false))) {
    if (Date.now() > deadline) throw new Error(`not so after a minute: ${what}`);
    await sleep(50);
  }
}

export async function startWorkflowServer(temporalBinary: string): Promise<WorkflowServer> {
  const settings = {
    'history.transferProcessorMaxPollRPS': 2000,
    'limit.historyCount.suggestContinueAsNew': SUGGEST_CONTINUE_AS_NEW,
  };
  const env = await TestWorkflowEnvironment.createLocal({
    server: {
      executable: { type: 'existing-path', path: temporalBinary },
      searchAttributes: Object.values(SEARCH_ATTRIBUTES),
      extraArgs: Object.entries(settings).flatMap(([key, value]) => [
        '--dynamic-config-value',
        `${key}=${value}`,
      ]),
    },
  });
  const turns = { fails: false };
  return {
    turns,
    client: env.client,
    address: env.address,
    async withWorker(host, body) {
      const worker = await Worker.create({
        connection: env.nativeConnection,
        taskQueue: TASK_QUEUE,
        workflowBundle: WORKFLOW_BUNDLE,
        activities: { ...host.activities, ...turnSteps(env.client, turns) },
        maxHeartbeatThrottleInterval: '100ms',
        // In this thread: one of its own for each test's worker takes a second to start, and does the same.
        debugMode: true,
      });
      return worker.runUntil(body);
    },
    close: () => env.teardown(),
  };
}
