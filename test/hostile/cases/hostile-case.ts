/** What every hostile case says of itself, wherever it enters. */
export interface HostileCase {
  /** Lower case and hyphens, so that a swept case can be the name of its recipe. */
  name: string;
  /** What is hostile about it. */
  hostile: string;
  /** Words of the one line it is refused with; null where it is taken for the plain text it is. */
  says: string | null;
}

/** Stands in a case for a file that a command in it would make. It lies outside our root. */
export const CANARY = '@CANARY@';
/** Stands in a case for a folder outside our root, with a file `secret` in it. */
export const OUTSIDE = '@OUTSIDE@';
/** Stands in a case for the stack of another app on the same host. */
export const NEIGHBOUR = '@NEIGHBOUR@';

/** What the stand-ins stand for. */
export interface Places {
  outside: string;
  neighbour?: string;
}

/** A text of a case with its stand-ins replaced. */
export function filledIn(text: string, places: Places): string {
  return text
    .replaceAll(CANARY, `${places.outside}/canary`)
    .replaceAll(OUTSIDE, places.outside)
    .replaceAll(NEIGHBOUR, places.neighbour ?? 'neighbour_example_org');
}
