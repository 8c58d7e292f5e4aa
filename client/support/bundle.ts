import { quotableLine } from '../../domain/printable.ts';
import { explain } from '../failure.ts';
import type { Mask } from './mask.ts';

/** A file of the bundle: its path in there, and what it says. */
export interface Piece {
  name: string;
  text: string;
}

/** What is gathered for a maintainer. Nothing gets in unmasked, and what cannot be had is a line and stops nothing. */
export interface Bundle {
  readonly pieces: readonly Piece[];
  /** What is not in it, and why: a line each. */
  readonly missing: readonly string[];
  addText(name: string, text: string): void;
  addJson(name: string, value: unknown): void;
  /** A document on each line. */
  addJsonLines(name: string, values: readonly unknown[]): void;
  lacks(what: string, why: string): void;
  /** Has the body gather something, for a minute at most; where it fails, that is what is missing. */
  gather(what: string, body: () => Promise<void>): Promise<void>;
}

/** In characters. It is read by people, and sent by mail. */
const MOST_TEXT = 20_000_000;
const LONGEST_MS = 60_000;

export function createBundle(mask: Mask): Bundle {
  const pieces: Piece[] = [];
  const missing: string[] = [];
  let room = MOST_TEXT;

  function lacks(what: string, why: string): void {
    missing.push(mask.text(quotableLine(`${what}: ${why}`)));
  }

  function add(name: string, text: string): void {
    if (text.length > room) {
      lacks(name, `left out, the bundle would have more than ${MOST_TEXT / 1_000_000} MB`);
      return;
    }
    room -= text.length;
    pieces.push({ name, text });
  }

  return {
    pieces,
    missing,
    lacks,
    addText: (name, text) => add(name, mask.text(text)),
    addJson: (name, value) => add(name, `${JSON.stringify(mask.value(value), null, 2)}\n`),
    addJsonLines: (name, values) =>
      add(name, values.map((value) => `${JSON.stringify(mask.value(value))}\n`).join('')),
    async gather(what, body) {
      let late: NodeJS.Timeout | undefined;
      const deadline = new Promise<never>((_, reject) => {
        late = setTimeout(() => reject(new Error(`not there after ${LONGEST_MS / 1000} s`)), LONGEST_MS);
      });
      try {
        await Promise.race([body(), deadline]);
      } catch (error) {
        lacks(what, explain(error));
      } finally {
        clearTimeout(late);
      }
    },
  };
}
