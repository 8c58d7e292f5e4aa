import type { Client } from '@temporalio/client';

/** When things happened in a workflow run, as the server wrote it down. Milliseconds since the epoch. */
export interface Timeline {
  started: number;
  /** NaN while it is open. */
  ended: number;
  events: number;
  activities: Span[];
  /** Asked for, started, ended. */
  children: (Span & { workflowId: string })[];
  /** The workflow's own code at work, with the way to the worker and back. */
  tasks: Span[];
}

export interface Span {
  name: string;
  asked: number;
  started: number;
  ended: number;
}

type Events = NonNullable<
  Awaited<ReturnType<ReturnType<Client['workflow']['getHandle']>['fetchHistory']>>['events']
>;
type Event = Events[number];

export async function timelineOf(client: Client, workflowId: string, runId?: string): Promise<Timeline> {
  const { events } = await client.workflow.getHandle(workflowId, runId).fetchHistory();
  return timeline(events ?? []);
}

function timeline(events: Events): Timeline {
  const byId = new Map(events.map((event) => [String(event.eventId), event]));
  const at = (id: unknown): Event | undefined => byId.get(String(id));
  const activities: Span[] = [];
  const tasks: Span[] = [];
  const children: Timeline['children'] = [];
  for (const event of events) {
    const activity = event.activityTaskCompletedEventAttributes;
    if (activity) {
      const scheduled = at(activity.scheduledEventId);
      activities.push({
        name: scheduled?.activityTaskScheduledEventAttributes?.activityType?.name ?? '',
        asked: timeOf(scheduled),
        started: timeOf(at(activity.startedEventId)),
        ended: timeOf(event),
      });
    }
    const task = event.workflowTaskCompletedEventAttributes;
    if (task) {
      const asked = timeOf(at(task.scheduledEventId));
      tasks.push({
        name: 'workflow task',
        asked,
        started: timeOf(at(task.startedEventId)),
        ended: timeOf(event),
      });
    }
    const child = event.childWorkflowExecutionCompletedEventAttributes;
    if (child) {
      children.push({
        name: child.workflowType?.name ?? '',
        workflowId: child.workflowExecution?.workflowId ?? '',
        asked: timeOf(at(child.initiatedEventId)),
        started: timeOf(at(child.startedEventId)),
        ended: timeOf(event),
      });
    }
  }
  const last = events.at(-1);
  const closed =
    last?.workflowExecutionCompletedEventAttributes ?? last?.workflowExecutionContinuedAsNewEventAttributes;
  return {
    started: timeOf(events[0]),
    ended: closed ? timeOf(last) : NaN,
    events: events.length,
    activities,
    tasks,
    children,
  };
}

function timeOf(event: Event | undefined): number {
  const { seconds, nanos } = event?.eventTime ?? {};
  return Number(seconds ?? NaN) * 1000 + (nanos ?? 0) / 1e6;
}
