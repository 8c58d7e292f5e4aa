import {
  Connection,
  isGrpcServiceError,
  ScheduleClient,
  WorkflowClient,
  WorkflowExecutionAlreadyStartedError,
  WorkflowIdReusePolicy,
  WorkflowNotFoundError,
} from '@temporalio/client';
import { Fault, messageOf } from '../domain/fault.ts';
import type { Config } from '../host/config/config.ts';
import { temporalAccess } from '../host/config/temporal-access.ts';
import type { TemporalView } from '../metrics/temporal.ts';
import { taskQueueOf, TEST_WORKFLOW } from '../workflows/protocol.ts';
import type { Starter } from './requests.ts';
import { viewOf } from './temporal-view.ts';

/** The Temporal server, as `serve` needs it: it may be away, at the start too, and is asked again each time. */
export interface Temporal extends Starter {
  /** Throws Fault Network where the server, or its namespace, does not answer. */
  look(): Promise<void>;
  /** What it knows of this host's workers, turns and schedules. Throws as look() does. */
  view(): Promise<TemporalView>;
  close(): Promise<void>;
}

/** Of one question; with the client's last try, half a second, less than a forge is kept waiting: so it is told. */
const PATIENCE_MS = 2_500;

/** Connects when it is asked first. Throws Fault BadConfig where what the configuration names cannot be read. */
export async function openTemporal({ temporal, host }: Pick<Config, 'temporal' | 'host'>): Promise<Temporal> {
  const { address, namespace } = temporal;
  const connection = Connection.lazy({
    ...(await temporalAccess(temporal)),
    connectTimeout: PATIENCE_MS,
  });
  const client = new WorkflowClient({ connection, namespace });
  const schedules = new ScheduleClient({ connection, namespace });

  async function asked<T>(question: () => Promise<T>): Promise<T> {
    try {
      return await connection.withDeadline(Date.now() + PATIENCE_MS, question);
    } catch (error) {
      if (error instanceof WorkflowNotFoundError || error instanceof WorkflowExecutionAlreadyStartedError) {
        throw error;
      }
      throw new Fault('Network', `the Temporal server at ${address}: ${causeOf(error)}`, { cause: error });
    }
  }

  return {
    async isThere(workflowId) {
      try {
        await asked(() => client.getHandle(workflowId).describe());
        return true;
      } catch (error) {
        if (error instanceof WorkflowNotFoundError) return false;
        throw error;
      }
    },
    async start(workflowId, input) {
      try {
        await asked(() =>
          client.start(TEST_WORKFLOW, {
            workflowId,
            taskQueue: taskQueueOf(host),
            args: [input],
            workflowIdReusePolicy: WorkflowIdReusePolicy.REJECT_DUPLICATE,
            staticSummary: `test of ${input.recipe}#${input.pr} for ${input.request?.by}`.slice(0, 200),
          }),
        );
        return true;
      } catch (error) {
        if (error instanceof WorkflowExecutionAlreadyStartedError) return false;
        throw error;
      }
    },
    async look() {
      await asked(() => connection.workflowService.describeNamespace({ namespace }));
    },
    view: () => asked(() => viewOf({ connection, namespace, workflows: client, schedules }, host)),
    close: () => connection.close(),
  };
}

/** What the server, or the way to it, said. */
function causeOf(error: unknown): string {
  for (let each = error; each instanceof Error; each = each.cause) {
    if (isGrpcServiceError(each)) return each.details;
  }
  return messageOf(error);
}
