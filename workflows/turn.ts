import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  condition,
  getExternalWorkflowHandle,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { FaultType } from '../domain/fault.ts';
import type { TurnRequest } from '../domain/turn.ts';
import { leaveSignal, turnSignal } from './protocol.ts';
import { turnSteps } from './steps.ts';

/** A workflow's turns on its host: while it has one, no other that asks for turns changes the host. */
export interface Turn {
  /**
   * Waits for it. Cancelled while it waits, it leaves the queue. Fails as HostBusy, naming the other, where this is a
   * sweep and another one is under way; as SUPERSEDED where the same was asked for once more, later than this.
   */
  take(): Promise<void>;
  /** Somebody waits for this one to give way. */
  readonly wanted: boolean;
  /** Gives way to who waits, and waits for its next turn. It stays in the queue if it is cancelled meanwhile. */
  pass(): Promise<void>;
  /** Waits for the turn that was asked for last, if it has not come yet. */
  have(): Promise<void>;
  /** Gives it back for good. */
  giveBack(): Promise<void>;
  /** What the next run of a long workflow must know. */
  carry(): CarriedTurn;
}

export interface CarriedTurn {
  number: number;
  wanted: boolean;
  hostWorkflow: string;
}

/** The type of the failure of one that waits no more, since a later one about the same does. */
export const SUPERSEDED = 'Superseded';

/** Asked again now and then, in case the workflow of the host was ended by somebody meanwhile. */
const ASK_AGAIN = '5m';

export function openTurn(
  asks: Pick<TurnRequest, 'asker' | 'what' | 'about'>,
  carried: CarriedTurn | null = null,
  /** Told, while it waits, whom it waits for. */
  onBehind: (behind: string) => void = () => undefined,
): Turn {
  const { workflowId: id, firstExecutionRunId: runId } = workflowInfo();
  const workflow = { id, runId };
  let number = carried?.number ?? 0;
  let granted = number;
  let wanted = carried?.wanted ?? false;
  let hostWorkflow = carried?.hostWorkflow ?? '';
  let refused: ApplicationFailure | null = null;
  setHandler(turnSignal, (news) => {
    if ('wanted' in news) wanted = true;
    else if (news.number !== number) return;
    else if ('refused' in news) refused = busy(news.refused);
    else if ('superseded' in news) refused = superseded(news.superseded);
    else if ('behind' in news) onBehind(news.behind);
    else granted = number;
  });

  async function untilGranted(sinceMs: number): Promise<void> {
    const { askForTurn } = turnSteps('ask for the host');
    refused = null;
    const settled = (): boolean => granted === number || refused !== null;
    const request = { ...asks, workflow, number, sinceMs };
    // Whether it was asked must be known also when this is cancelled.
    do hostWorkflow = await CancellationScope.nonCancellable(() => askForTurn(request));
    while (!(await condition(settled, ASK_AGAIN)));
    if (refused !== null) throw refused;
  }

  async function leave(): Promise<void> {
    // Nobody was asked: what asked may have been heard all the same, and is dropped when this workflow has ended.
    if (hostWorkflow === '') return;
    // It has ended where it knew of nobody.
    await CancellationScope.nonCancellable(() =>
      getExternalWorkflowHandle(hostWorkflow).signal(leaveSignal, { workflow }),
    ).catch(() => undefined);
  }

  return {
    async take() {
      number += 1;
      try {
        await untilGranted(Date.now());
      } catch (error) {
        await leave();
        throw error;
      }
    },
    get wanted() {
      return wanted;
    },
    async pass() {
      wanted = false;
      number += 1;
      await untilGranted(Date.now());
    },
    async have() {
      if (granted !== number) await untilGranted(Date.now());
    },
    giveBack: leave,
    carry: () => ({ number, wanted, hostWorkflow }),
  };
}

function busy({ what, workflow, sinceMs }: TurnRequest): ApplicationFailure {
  const since = new Date(sinceMs).toISOString();
  const message = `this host is held by ${what} ${workflow.id}, which asked for it at ${since}`;
  return ApplicationFailure.create({ type: 'HostBusy' satisfies FaultType, message, nonRetryable: true });
}

function superseded({ what, workflow }: TurnRequest): ApplicationFailure {
  const message = `${what} was asked for again, later: ${workflow.id}`;
  return ApplicationFailure.create({ type: SUPERSEDED, message, nonRetryable: true });
}
