import { quotableLine } from '../../domain/printable.ts';
import { explain } from '../temporal-failure.ts';
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
  /** From here on nothing gets in, whoever is late with it. Answers whether somebody is still at it. */
  close(): { isWaitedFor: boolean };
}

/** In characters. It is read by people, and sent by mail. */
const MOST_TEXT = 20_000_000;
const LONGEST_MS = 60_000;

/** What the body answers, within a minute. One that is late goes on, and nobody hears of it. */
export async function withinAMinute<T>(body: () => Promise<T>): Promise<T> {
  let late: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    late = setTimeout(() => reject(new Error(`not there after ${LONGEST_MS / 1000} s`)), LONGEST_MS);
  });
  try {
    return await Promise.race([body(), deadline]);
  } finally {
    clearTimeout(late);
  }
}

export function createBundle(mask: Mask): Bundle {
  const pieces: Piece[] = [];
  const missing: string[] = [];
  let room = MOST_TEXT;
  let isClosed = false;
  let atWork = 0;

  function lacks(what: string, why: string): void {
    if (isClosed) return;
    missing.push(mask.text(quotableLine(`${what}: ${why}`)));
  }

  function add(name: string, text: string): void {
    if (isClosed) return;
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
      const counted = async (): Promise<void> => {
        atWork += 1;
        await body().finally(() => (atWork -= 1));
      };
      await withinAMinute(counted).catch((error: unknown) => lacks(what, explain(error)));
    },
    close() {
      isClosed = true;
      return { isWaitedFor: atWork > 0 };
    },
  };
}
