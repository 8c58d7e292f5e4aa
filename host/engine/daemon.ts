import { Fault, messageOf } from '../../domain/fault.ts';

/** What dockerode throws: an answer of the engine, or a socket that gave none. */
export interface EngineError extends Error {
  statusCode?: number;
  code?: string;
}

export function engineStatus(error: unknown): number | null {
  return error instanceof Error ? ((error as EngineError).statusCode ?? null) : null;
}

/** The engine's own words, without the library's prefix. */
export function engineMessage(error: unknown): string {
  return messageOf(error)
    .replace(/^\(HTTP code \d+\) [^-]*- /, '')
    .trim();
}

/**
 * Words of the engine, or of the client that speaks to it, which say that the daemon is unwell and nothing of
 * what it was asked to do.
 */
const UNWELL =
  /cannot connect to the docker daemon|is the docker daemon running|error during connect|connection refused|connection reset|ECONNRESET|ECONNREFUSED|EPIPE|socket hang up|context deadline exceeded|deadlineexceeded|i\/o timeout|swarm does not have a leader|not a swarm manager|rpc error: code = unavailable|update out of sequence|unexpected EOF/i;

/** Whether such words, from the client's standard error, are about the daemon. */
export function saysDaemonUnwell(text: string): boolean {
  return UNWELL.test(text);
}

/** The engine's words for what is gone, or going; a network that goes meanwhile is a 500 with them, not a 404. */
const GONE = /\bnot found\b|\bno such\b|removal of container \S+ is already in progress/i;

/** Whether such words say that there is nothing left to remove. */
export function saysGone(text: string): boolean {
  return GONE.test(text);
}

export function saysDiskFull(text: string): boolean {
  return /no space left on device|disk quota exceeded/i.test(text);
}

/**
 * Throws what an engine call threw as a Fault where it tells of the engine's health (no answer, 5xx, no
 * space), else as it is, for the caller to make sense of. `what` is what was being done.
 */
export function rethrowEngine(error: unknown, what: string): never {
  const said = engineMessage(error);
  const status = engineStatus(error);
  const code = error instanceof Error ? (error as EngineError).code : undefined;
  if (saysDiskFull(said))
    throw new Fault('Disk', `${what}: the engine's disk is full: ${said}`, { cause: error });
  const noAnswer = status === null && (code !== undefined || saysDaemonUnwell(said));
  if (noAnswer || (status !== null && status >= 500)) {
    throw new Fault('Daemon', `${what}: the Docker engine failed: ${said}`, { cause: error });
  }
  throw error;
}

/** Runs one engine call; its failures as rethrowEngine has them. */
export async function engine<T>(what: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    return rethrowEngine(error, what);
  }
}

/** Like engine, but null when the engine says there is no such thing. */
export async function engineOrNull<T>(what: string, call: () => Promise<T>): Promise<T | null> {
  try {
    return await call();
  } catch (error) {
    if (engineStatus(error) === 404) return null;
    return rethrowEngine(error, what);
  }
}
