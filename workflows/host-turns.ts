import {
  condition,
  continueAsNew,
  getExternalWorkflowHandle,
  isCancellation,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import { quotableMarkdown } from '../domain/printable.ts';
import {
  ask,
  behind,
  grant,
  isWanted,
  leave,
  next,
  NOBODY,
  type TurnRequest,
  type Turns,
} from '../domain/turn.ts';
import { askSignal, leaveSignal, turnSignal, turnsQuery, type TurnNews } from './protocol.ts';
import { turnSteps } from './steps.ts';

/** How often it is looked whether a holder, or somebody who waits, has ended without a word. */
const LOOK_EVERY = '15s';

/**
 * Grants a host to one workflow at a time, in the order of domain/turn.ts. It begins with the first that asks
 * (`askForTurn` starts it) and ends when nobody has the host or waits for it: what it knows then is nothing.
 */
export async function hostWorkflow(carried?: Turns): Promise<void> {
  let turns: Turns = { ...NOBODY, ...carried };
  let isNew = carried === undefined;
  /** Not answered yet. */
  let asked: TurnRequest[] = [];
  let changed = true;
  /** The holder that was told that somebody waits. */
  let told: TurnRequest | null = null;
  /** By workflow, whom the tests that wait were told that they wait for. */
  let toldBehind = new Map<string, string>();
  setHandler(turnsQuery, () => turns, { description: 'who has this host, and who waits for it' });
  setHandler(askSignal, (request) => {
    asked.push(request);
    changed = true;
  });
  setHandler(leaveSignal, (who) => {
    asked = asked.filter(({ workflow }) => workflow.id !== who.workflow.id);
    turns = leave(turns, who);
    changed = true;
  });

  /** One that has ended without a word is in nobody's way. */
  async function dropEnded(): Promise<void> {
    const everybody = [...(turns.holder === null ? [] : [turns.holder]), ...turns.waiting];
    if (everybody.length === 0) return;
    const { endedWorkflows } = turnSteps('which of them have ended');
    const workflows = everybody.map(({ workflow }) => workflow);
    for (const workflow of await endedWorkflows({ workflows }).catch(unlessCancelled([])))
      turns = leave(turns, { workflow });
  }

  async function tell(who: TurnRequest, news: TurnNews): Promise<void> {
    try {
      await getExternalWorkflowHandle(who.workflow.id).signal(turnSignal, news);
    } catch {
      turns = leave(turns, who);
      changed = true;
    }
  }

  for (;;) {
    if (isNew) {
      // One before this, that somebody ended, may have granted the host: the lock knows to whom.
      const { lockHolder } = turnSteps('who holds the host already');
      const holder = await lockHolder().catch(unlessCancelled(null));
      if (holder !== null) turns = grant(turns, holder, holder.sinceMs);
      isNew = false;
    }
    const look = changed ? asked.length > 0 : true;
    changed = false;
    if (look) await dropEnded();
    for (let request = asked.shift(); request !== undefined; request = asked.shift()) {
      const { turns: now, ...answer } = ask(turns, request);
      turns = now;
      const { number } = request;
      if (answer.answer === 'refused') await tell(request, { number, refused: answer.by });
      if (answer.answer === 'superseded') await tell(request, { number, superseded: answer.by });
      if (answer.answer === 'granted') await tell(request, { number });
      if (answer.answer !== 'waits') continue;
      for (const older of answer.supersedes) {
        await tell(older, { number: older.number, superseded: request });
      }
    }
    const first = next(turns);
    if (first !== null) {
      turns = grant(turns, first, Date.now());
      await tell(first, { number: first.number });
    }
    const { holder, waiting } = turns;
    if (holder !== null && isWanted(turns) && told !== holder) {
      told = holder;
      await tell(holder, { wanted: true });
    }
    const isBehind = new Map<string, string>();
    for (const one of turns.waiting.filter(({ asker }) => asker === 'test')) {
      const whom = behind(turns, one);
      if (whom === null) continue;
      isBehind.set(one.workflow.id, whom);
      if (toldBehind.get(one.workflow.id) !== whom) await tell(one, { number: one.number, behind: whom });
    }
    toldBehind = isBehind;
    setCurrentDetails(inMarkdown(turns));
    if (changed) continue;
    if (holder === null && waiting.length === 0) return;
    if (workflowInfo().continueAsNewSuggested) return continueAsNew<typeof hostWorkflow>(turns);
    if (waiting.length > 0) await condition(() => changed, LOOK_EVERY);
    else await condition(() => changed);
  }
}

/** What cannot be asked now is asked again later; until then nothing is known of it. */
function unlessCancelled<T>(nothing: T): (error: unknown) => T {
  return (error) => {
    if (isCancellation(error)) throw error;
    return nothing;
  };
}

function inMarkdown({ holder, heldMs, waiting }: Turns): string {
  const line = ({ workflow, what }: TurnRequest, sinceMs: number): string =>
    `${quotableMarkdown(what)}: \`${workflow.id}\` since ${new Date(sinceMs).toISOString()}`;
  return [
    holder === null ? '**free**' : `**held** by ${line(holder, heldMs ?? holder.sinceMs)}`,
    ...waiting.map((one) => `- waits: ${line(one, one.sinceMs)}`),
  ].join('\n\n');
}
