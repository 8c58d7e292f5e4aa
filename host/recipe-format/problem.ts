import { quotableLine } from '../../domain/printable.ts';

/** A key of a mapping, or the index of an item. */
export type Key = string | number;

/** Where something stands in a recipe's files; said as `compose.yml:17: services.app.volumes.0`. */
export interface Place {
  file: string;
  /** Counted from 1; null where there is none to name. */
  line: number | null;
  /** The way to it; empty for a line or the file as a whole. */
  path: readonly Key[];
}

/** What a recipe asks for that only its operator can allow. */
export interface Finding {
  /** What `allow` calls it: `docker-socket`, `host-path:/srv/media`. */
  name: string;
  place: Place;
  /** What is asked for, and what to do instead. */
  what: string;
}

/** As an operator reads it, and what is said of it. */
export function placed({ file, line, path }: Place, what: string): string {
  const at = line === null ? file : `${file}:${line}`;
  return quotableLine(`${at}: ${pathed(path, what)}`);
}

/** What is said of a place whose file and line are known. */
export function pathed(path: readonly Key[], what: string): string {
  return path.length === 0 ? what : `${path.join('.')}: ${what}`;
}

/**
 * What is wrong with a recipe's own files: the package's fault, so a red result and never a Fault.
 * The message is one line: place, what. A place that is only text is a file.
 */
export class RecipeProblem extends Error {
  readonly place: Place;
  readonly what: string;
  /** The message, and a line for each other problem that was found beside it. */
  readonly lines: readonly string[];

  constructor(place: Place | string, what: string, others: readonly string[] = []) {
    const found = typeof place === 'string' ? { file: place, line: null, path: [] } : place;
    super(placed(found, what));
    this.name = 'RecipeProblem';
    this.place = found;
    this.what = what;
    this.lines = [this.message, ...others];
  }
}
