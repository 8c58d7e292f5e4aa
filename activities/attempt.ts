import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure, CancelledFailure, Context, log } from '@temporalio/activity';
import { Fault, FAULTS, messageOf, type FaultType } from '../domain/fault.ts';
import { quotable } from '../domain/printable.ts';
import type { Span } from '../domain/time-spent.ts';
import { runName, type RunRef } from '../domain/run.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import type { ReconciledStack } from '../host/engine/ownership.ts';
import { engineStatus } from '../host/engine/daemon.ts';
import type { Claim, Holder } from '../host/lock/host-lock.ts';
import type { ProcessRunner } from '../host/machine/process.ts';
import { createStopwatch, type Spend } from '../host/machine/stopwatch.ts';
import type { Tools } from '../host/tools.ts';
import type { World } from './world.ts';

/** What one attempt of a step works with: everything here ends, or stops changing things, when it does. */
export interface Attempt {
  /** Counts from 1. */
  number: number;
  /** Cancelled, or overtaken. */
  signal: AbortSignal;
  commands: ProcessRunner;
  /** Says what is being waited for; shown in the Temporal UI with the pending activity. */
  report(what: string): void;
  /** Notes what its time is spent on. */
  spend: Spend;
  /** When it is ended, milliseconds since the epoch. */
  until: number;
  /** Ends it, since another came later. */
  overtaken(why: Fault): void;
}

/** An attempt that may change things on the host, with all that it may change them by. */
export interface HostAttempt extends Attempt, Tools {
  /** The host lock's: no other attempt ever has the same. */
  generation: number;
  /** Throws Fault FenceLost once a later attempt or another run holds the host. */
  guard(): Promise<void>;
  /** The same tools for the reconcile of a live service, which nothing else may change. */
  reconciling(reconciled: ReconciledStack): Tools;
}

const HEARTBEAT_MS = 3_000;

/** The system's words for a disk that takes no more. */
const FULL = new Set(['ENOSPC', 'EDQUOT']);
/** Its words for a peer that cannot be reached, or hung up. */
const UNREACHABLE = /^E(CONN|HOST|NET|PIPE|AI_|NOTFOUND|TIMEDOUT)/;

/**
 * Runs a step's body with heartbeats, cancellation and the one translation of errors: a Fault becomes an
 * ApplicationFailure of its type, retryable or not by the one list in domain/fault.ts.
 */
export async function inAttempt<T>(
  world: World,
  body: (attempt: Attempt) => Promise<T>,
  run: RunRef | null = null,
): Promise<T> {
  const context = Context.current();
  const commandMark = await world.attempts.mark(null);
  const overtaken = new AbortController();
  const signal = AbortSignal.any([context.cancellationSignal, overtaken.signal]);
  const stopwatch = createStopwatch();
  let doing = 'starting';
  const beat = setInterval(() => context.heartbeat(doing), HEARTBEAT_MS);
  const attempt: Attempt = {
    number: context.info.attempt,
    signal,
    commands: world.runnerFor({ signal, commandMark }),
    report(what) {
      doing = what;
      context.heartbeat(what);
    },
    spend: stopwatch.spend,
    until: Date.now() + context.info.startToCloseTimeoutMs,
    overtaken: (why) => overtaken.abort(why),
  };
  try {
    return await body(attempt);
  } catch (error) {
    if (overtaken.signal.aborted) throw asFailure(overtaken.signal.reason);
    if (signal.aborted) throw new CancelledFailure(`${doing}: cancelled`);
    throw asFailure(error);
  } finally {
    clearInterval(beat);
    if (run !== null) await keepTime(world, run, stopwatch.spans(), context.info);
  }
}

/**
 * Keeps what an attempt of a run's step was spent on. Of a later attempt that is also the time since the step was first
 * asked for, as far as those before it noted nothing better: they came to nothing, and were waited for.
 */
async function keepTime(
  { times }: Pick<World, 'times'>,
  run: RunRef,
  spans: readonly Span[],
  { attempt, scheduledTimestampMs, currentAttemptScheduledTimestampMs }: Context['info'],
): Promise<void> {
  const before: Span = {
    on: 'retries',
    fromMs: scheduledTimestampMs,
    toMs: currentAttemptScheduledTimestampMs,
  };
  try {
    await times.add(runName(run), attempt === 1 ? spans : [before, ...spans]);
  } catch (error) {
    log.warn('where its time went was not kept', { error });
  }
}

function asFailure(error: unknown): unknown {
  if (error instanceof ApplicationFailure) return error;
  if (error instanceof Fault) {
    const { retryable } = FAULTS[error.type];
    return ApplicationFailure.create({ type: error.type, message: error.message, nonRetryable: !retryable });
  }
  if (FULL.has(String((error as NodeJS.ErrnoException | null)?.code))) {
    const message = `${quotable(messageOf(error))}; free some space on this host`;
    return ApplicationFailure.create({ type: 'Disk', message });
  }
  log.error('unexpected error', { error });
  const type = unexpected(error);
  const said = quotable(messageOf(error));
  const message = type === 'Bug' ? bugMessage(error, said) : said;
  return ApplicationFailure.create({ type, message, nonRetryable: !FAULTS[type].retryable });
}

/** What kind of fault it is that none of our own modules put into words. */
function unexpected(error: unknown): FaultType {
  if (!(error instanceof Error)) return 'Bug';
  if (error.name === 'TimeoutError') return 'TimedOut';
  if (engineStatus(error) !== null) return 'Daemon';
  if (isOfTemporal(error)) return 'Network';
  const { code, syscall } = error as NodeJS.ErrnoException;
  if (syscall === undefined || code === undefined) return 'Bug';
  return UNREACHABLE.test(code) ? 'Network' : 'Disk';
}

/** The Temporal server did not do what a step asked of it: the client's errors carry gRPC's status. */
function isOfTemporal(error: unknown): boolean {
  if (!(error instanceof Error)) return false;
  const { code } = error as { code?: unknown };
  const isStatus = typeof code === 'number' && 'details' in error && 'metadata' in error;
  return error.name === 'ServiceError' || isStatus || isOfTemporal(error.cause);
}

function bugMessage(error: unknown, said: string): string {
  const place = error instanceof Error ? /\n\s+at (.+)/.exec(error.stack ?? '')?.[1] : undefined;
  const where = place === undefined ? '' : ` (${quotable(place)})`;
  return `a bug of recipe-sweep: ${said}${where}; the worker's log has it under "unexpected error": please report it`;
}

/** Those who may hold the host for a recipe's run: who asked for it while that is open, else the run itself. */
export function holdersOf({ asked, workflow }: RunRef): Holder[] {
  const own = { workflowId: workflow.id, runId: workflow.runId, what: 'recipe run' };
  switch (asked.by) {
    case 'sweep':
      return [{ workflowId: asked.id, runId: asked.runId, what: 'sweep' }, own];
    case 'test':
      return [{ ...own, what: 'test' }];
  }
}

const REAPER_POLL_MS = 250;

/** A reaper is no build in flight; nor is a recipe's run that holds the host itself: it tears down what its sweep left. */
const ENDS_SOON = new Set(['reap', 'recipe run']);

/** Claims the host, and waits for what soon gives it back. */
async function claim(
  world: World,
  holders: readonly Holder[],
  step: string,
  { signal, report }: Attempt,
): Promise<Claim> {
  for (;;) {
    try {
      return await world.lock.claim(holders, step);
    } catch (error) {
      if (!(error instanceof Fault) || error.type !== 'HostBusy') throw error;
      const reaps = holders.some(({ what }) => what === 'reap');
      const holder = await world.lock.current();
      if (reaps || (holder !== null && !ENDS_SOON.has(holder.what))) throw error;
      report(`waiting for the ${holder?.what ?? 'one that has just ended'}`);
      await sleep(REAPER_POLL_MS, undefined, { signal });
    }
  }
}

/** Like {@link inAttempt}, holding the host: every earlier attempt of anything loses its fence, and ends, first. */
export async function holdingHost<T>(
  world: World,
  holders: readonly Holder[],
  step: string,
  body: (attempt: HostAttempt) => Promise<T>,
  run: RunRef | null = null,
): Promise<T> {
  const held = async (attempt: Attempt): Promise<T> => {
    const now = `${step}, attempt ${attempt.number}`;
    const { generation, guard } = await claim(world, holders, now, attempt);
    const entered = await world.attempts.enter(generation, now, attempt.overtaken);
    try {
      passBoundary('attempt.after-enter');
      // Whoever came before us has ended; whoever came after us while we waited for that ends us.
      await guard();
      const { signal, report, spend, until } = attempt;
      const commandMark = await world.attempts.mark(generation);
      const commands = world.runnerFor({ signal, commandMark });
      const bonds = { commands, commandMark, signal, guard, report, spend, until };
      const reconciling = (reconciled: ReconciledStack): Tools => world.toolsFor({ ...bonds, reconciled });
      return await body({ ...attempt, ...world.toolsFor(bonds), generation, commands, guard, reconciling });
    } finally {
      await entered.leave();
    }
  };
  return inAttempt(world, held, run);
}

/** The same for a step of a recipe's run, which keeps where its time went. */
export async function holdingHostFor<T>(
  world: World,
  run: RunRef,
  step: string,
  body: (attempt: HostAttempt) => Promise<T>,
): Promise<T> {
  return holdingHost(world, holdersOf(run), `${runName(run)}: ${step}`, body, run);
}
