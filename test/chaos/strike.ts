import { readFileSync } from 'node:fs';
import path from 'node:path';
import { BOUNDARIES, type Boundary } from '../../host/machine/boundary.ts';

/** What the campaign and its workers say to each other, in files of one folder. */

/** Where and how a worker acts. */
export interface Strike {
  id: string;
  boundary: Boundary;
  /** At which pass of that boundary by one worker, counted from 1. */
  nth: number;
  action: 'kill' | 'stop' | 'kill-command';
}

/** What it did. */
export interface Struck {
  id: string;
  pid: number;
}

export function strikeFiles(folder: string) {
  return {
    /** The strike that waits for its boundary. */
    armed: path.join(folder, 'armed.json'),
    /** The same once a worker has taken it. */
    struck: path.join(folder, 'struck.json'),
    /** Struck. */
    report: path.join(folder, 'report.json'),
    /** Every boundary passed: one line {ms, pid, boundary} each, with {trials} where data was attached again. */
    passed: path.join(folder, 'passed.jsonl'),
    /** The number of the campaign's run, for the names of rows. */
    run: path.join(folder, 'run'),
  };
}

/** Null when none waits, or it is being written. */
export function readStrike(file: string): Strike | null {
  return readJson<Strike>(file);
}

export function readJson<T>(file: string): T | null {
  try {
    return JSON.parse(readFileSync(file, 'utf8')) as T;
  } catch {
    return null;
  }
}

/** Reads `boundary` or `boundary#nth`; without nth it is null. Throws RangeError for what is none. */
export function parsePlace(text: string): { boundary: Boundary; nth: number | null } {
  const [name, nth] = text.split('#');
  const boundary = BOUNDARIES.find((known) => known === name);
  if (boundary === undefined) {
    throw new RangeError(`${JSON.stringify(name)} is no boundary; there are: ${BOUNDARIES.join(', ')}`);
  }
  if (nth === undefined) return { boundary, nth: null };
  if (!/^[1-9]\d*$/.test(nth)) throw new RangeError(`${JSON.stringify(nth)} does not count passes`);
  return { boundary, nth: Number(nth) };
}
