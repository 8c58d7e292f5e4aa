import { FAULTS, Fault, messageOf } from '../domain/fault.ts';
import { quotable } from '../domain/printable.ts';
import { createQueue } from '../host/machine/queue.ts';
import type { Became } from './requests.ts';
import type { Hint } from './webhook.ts';

/** What is written to the log. */
export interface Log {
  debug(about: object, message: string): void;
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
  error(about: object, message: string): void;
}

/** Comments to look at, one after the other, so that a flood of them asks the forge for no more than one at a time. */
export interface Deliveries {
  /**
   * What the comment became, once it is its turn; null where too many wait. It throws what kept it from being looked at.
   * When the forge or the Temporal server is away those behind it are not tried either: whoever looks for comments that
   * were missed finds them.
   */
  take(hint: Hint): Promise<Became> | null;
}

export interface DeliveriesOptions {
  /** So many wait. */
  most: number;
  consider(hint: Hint): Promise<Became>;
  /** Something was left: look for what was missed before long. */
  onLeft(): void;
  log: Log;
}

/** An error in the log: what it is, and its message. */
export function inWords(error: unknown): { type?: string; error: string; stack?: string } {
  const said = { error: quotable(messageOf(error)) };
  if (error instanceof Fault) return { type: error.type, ...said };
  return error instanceof Error ? { type: error.name, ...said, stack: quotable(error.stack ?? '') } : said;
}

/** Whether it may be over when it is asked again. */
export function isPassing(error: unknown): boolean {
  return error instanceof Fault && FAULTS[error.type].retryable;
}

export function createDeliveries({ most, consider, onLeft, log }: DeliveriesOptions): Deliveries {
  const inTurn = createQueue();
  let waiting = 0;
  /** Counts how often those who waited were left. */
  let left = 0;

  async function looked(hint: Hint, since: number): Promise<Became> {
    const about = { repository: `${hint.repository.owner}/${hint.repository.name}`, comment: hint.comment };
    try {
      if (since < left)
        throw new Fault('Network', 'left until the forge and the Temporal server answer again');
      const became = await consider(hint);
      log.info({ ...about, ...became }, 'comment');
      return became;
    } catch (error) {
      if (isPassing(error) && since === left) left += 1;
      onLeft();
      log.warn({ ...about, ...inWords(error) }, 'comment was not looked at');
      throw error;
    } finally {
      waiting -= 1;
    }
  }

  return {
    take(hint) {
      if (waiting >= most) return null;
      waiting += 1;
      const since = left;
      return inTurn(() => looked(hint, since));
    },
  };
}
