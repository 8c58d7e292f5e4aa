import { readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';
import { isRecipeName } from '../domain/names.ts';
import { appendDurably, syncFolder } from './durable-file.ts';

/** The commit that a tag had when it was first seen. */
export interface Recorded {
  commit: string;
  /** When it was first seen, in ISO 8601. */
  ts: string;
}

export interface LedgerEntry extends Recorded {
  tag: string;
}

/**
 * Which commit each tag of a recipe had when it was first seen: `<state>/ledger/<recipe>.jsonl`, one line per
 * tag, only ever added to. It is what a moved tag is found out by.
 */
export interface Ledger {
  /** By tag; empty for a recipe never seen. Throws Fault RecordUnreadable. */
  read(recipe: string): Promise<Map<string, Recorded>>;
  /**
   * Adds what is new and waits until it is on disk. Throws Fault TagMoved, adding nothing, when a tag is
   * recorded with another commit already.
   */
  append(recipe: string, entries: readonly LedgerEntry[]): Promise<void>;
}

const lineSchema = z.strictObject({
  schema: z.literal(1),
  tag: z.string().min(1),
  commit: z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a whole commit ID'),
  ts: z.iso.datetime(),
});

export function createLedger(state: string): Ledger {
  return {
    async read(recipe) {
      return (await load(ledgerFile(state, recipe))).recorded;
    },
    async append(recipe, entries) {
      const file = ledgerFile(state, recipe);
      const { recorded, whole, torn } = await load(file);
      const fresh = new Map<string, Recorded>();
      for (const { tag, commit, ts } of entries) {
        const known = recorded.get(tag) ?? fresh.get(tag);
        if (known === undefined) fresh.set(tag, { commit, ts });
        else if (known.commit !== commit) {
          throw new Fault(
            'TagMoved',
            `${file}: tag ${JSON.stringify(tag)} is recorded with commit ${known.commit}, not ${commit}`,
          );
        }
      }
      if (fresh.size === 0) return;
      if (torn) await truncate(file, whole);
      const lines = [...fresh].map(([tag, { commit, ts }]) => JSON.stringify({ schema: 1, tag, commit, ts }));
      await appendDurably(file, lines.join('\n'));
      if (whole === 0) await syncFolder(path.dirname(file));
    },
  };
}

function ledgerFile(state: string, recipe: string): string {
  if (!isRecipeName(recipe)) throw new Fault('BadInput', `not a recipe name: ${JSON.stringify(recipe)}`);
  return path.join(state, 'ledger', `${recipe}.jsonl`);
}

/**
 * A line that a crash cut short has no line end. Nothing was done on the strength of it, so it counts as
 * never written; any other line that cannot be read stops the recipe.
 */
async function load(
  file: string,
): Promise<{ recorded: Map<string, Recorded>; whole: number; torn: boolean }> {
  let bytes: Buffer;
  try {
    bytes = await readFile(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') {
      return { recorded: new Map(), whole: 0, torn: false };
    }
    throw new Fault('RecordUnreadable', `${file}: ${messageOf(error)}`);
  }
  const whole = bytes.lastIndexOf('\n') + 1;
  const recorded = new Map<string, Recorded>();
  const lines = bytes.toString('utf8', 0, whole).split('\n').slice(0, -1);
  lines.forEach((line, index) => {
    const { tag, commit, ts } = parseLine(`${file}:${index + 1}`, line);
    const known = recorded.get(tag);
    if (known === undefined) recorded.set(tag, { commit, ts });
    else if (known.commit !== commit) {
      throw unreadable(`${file}:${index + 1}`, `tag ${JSON.stringify(tag)} has two commits`);
    }
  });
  return { recorded, whole, torn: whole < bytes.length };
}

function parseLine(where: string, line: string): z.output<typeof lineSchema> {
  let written: unknown;
  try {
    written = JSON.parse(line);
  } catch (error) {
    throw unreadable(where, messageOf(error));
  }
  const checked = lineSchema.safeParse(written);
  if (!checked.success) {
    throw unreadable(where, z.prettifyError(checked.error).replaceAll('\n', ' '));
  }
  return checked.data;
}

function unreadable(where: string, why: string): Fault {
  return new Fault(
    'RecordUnreadable',
    `${where}: not a line this version can read (${why}); put back a good copy of the file, or mend the line by hand`,
  );
}
