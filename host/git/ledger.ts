import { readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';
import { isRecipeName } from '../../domain/names.ts';
import { parseVersion } from '../../domain/version.ts';
import { appendDurably, newerSchema, syncFolder } from '../machine/durable-file.ts';

/** The commit that a tag has on record. */
export interface Recorded {
  commit: string;
  /** Since when, in ISO 8601. */
  ts: string;
  /** Of a release's tag that moved: from where, and who will have it where it is now. Absent where nobody was asked. */
  accepted?: Accepted & { from: string };
}

export interface Accepted {
  by: string;
  reason: string;
}

/** A tag that is elsewhere than it was on record. */
export interface Moved {
  tag: string;
  from: string;
  commit: string;
}

export interface LedgerEntry {
  tag: string;
  commit: string;
  /** In ISO 8601. */
  ts: string;
}

/** That a release's tag moved, and an operator will have it where it is now. */
export interface Acceptance extends LedgerEntry, Accepted {
  /** The commit that it had on record. */
  from: string;
}

/**
 * Which commit each tag of a recipe has: `<state>/ledger/<recipe>.jsonl`, only ever added to. The first line of a tag
 * (schema 1) says where it was first seen, each further one (schema 2) where it went. It is what a release's tag that
 * moved is found out by: only an operator's word moves one on here. Whoever writes has the lock of
 * the recipe's repositories (host/machine/file-lock.ts).
 */
export interface Ledger {
  /** By tag; empty for a recipe never seen. Throws Fault RecordUnreadable. */
  read(recipe: string): Promise<Map<string, Recorded>>;
  /**
   * Adds what is new, and where a tag that is no release's leads now, and waits until it is on disk. Throws Fault
   * TagMoved, adding nothing, when a release's tag is recorded with another commit already.
   */
  append(recipe: string, entries: readonly LedgerEntry[]): Promise<void>;
  /**
   * From here on the release's tag has this commit, and no other. Throws Fault TagMoved, adding nothing, when the one
   * on record is not the one it moved from.
   */
  accept(recipe: string, acceptance: Acceptance): Promise<void>;
}

const commit = z.string().regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, 'a whole commit ID');
const lineKeys = { tag: z.string().min(1), commit, ts: z.iso.datetime() };

const lineSchema = z.discriminatedUnion('schema', [
  z.strictObject({ schema: z.literal(1), ...lineKeys }),
  z.strictObject({
    schema: z.literal(2),
    ...lineKeys,
    from: commit,
    /** Null for a tag that is no release's, which nobody is asked about. */
    accepted: z.strictObject({ by: z.string().min(1), reason: z.string().min(1) }).nullable(),
  }),
]);

type Line = z.output<typeof lineSchema>;

export function createLedger(state: string): Ledger {
  async function add(file: string, { whole, torn }: Loaded, lines: readonly Line[]): Promise<void> {
    if (lines.length === 0) return;
    if (torn) await truncate(file, whole);
    await appendDurably(file, lines.map((line) => JSON.stringify(line)).join('\n'));
    if (whole === 0) await syncFolder(path.dirname(file));
  }

  return {
    async read(recipe) {
      return (await load(ledgerFile(state, recipe))).recorded;
    },
    async append(recipe, entries) {
      const file = ledgerFile(state, recipe);
      const loaded = await load(file);
      const now = new Map([...loaded.recorded].map(([tag, known]) => [tag, known.commit]));
      const lines = entries.flatMap(({ tag, commit, ts }): Line[] => {
        const from = now.get(tag);
        if (from === commit) return [];
        if (from !== undefined && parseVersion(tag) !== null) throw otherCommit(file, tag, from, commit);
        now.set(tag, commit);
        return from === undefined
          ? [{ schema: 1, tag, commit, ts }]
          : [{ schema: 2, tag, from, commit, ts, accepted: null }];
      });
      await add(file, loaded, lines);
    },
    async accept(recipe, { tag, from, commit, ts, by, reason }) {
      const file = ledgerFile(state, recipe);
      const loaded = await load(file);
      const known = loaded.recorded.get(tag)?.commit;
      if (known !== from) throw otherCommit(file, tag, known ?? 'none', from);
      await add(file, loaded, [{ schema: 2, tag, from, commit, ts, accepted: { by, reason } }]);
    },
  };
}

function otherCommit(file: string, tag: string, known: string, commit: string): Fault {
  const what = `tag ${JSON.stringify(tag)} is recorded with commit ${known}, not ${commit}`;
  return new Fault('TagMoved', `${file}: ${what}`);
}

function ledgerFile(state: string, recipe: string): string {
  if (!isRecipeName(recipe)) throw new Fault('BadInput', `not a recipe name: ${JSON.stringify(recipe)}`);
  return path.join(state, 'ledger', `${recipe}.jsonl`);
}

interface Loaded {
  recorded: Map<string, Recorded>;
  /** Bytes, up to the end of the last whole line. */
  whole: number;
  /** Whether there is a beginning of a line behind it. */
  torn: boolean;
}

/**
 * A line that a crash cut short has no line end. Nothing was done on the strength of it, so it counts as
 * never written; any other line that cannot be read stops the recipe.
 */
async function load(file: string): Promise<Loaded> {
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
    const where = `${file}:${index + 1}`;
    const read = parseLine(where, line);
    const known = recorded.get(read.tag);
    if (read.schema === 1 && known !== undefined) {
      if (known.commit === read.commit) return;
      throw unreadable(where, `tag ${JSON.stringify(read.tag)} has two commits`);
    }
    if (read.schema === 2 && known?.commit !== read.from) {
      throw unreadable(where, `tag ${JSON.stringify(read.tag)} moved from a commit that it did not have`);
    }
    const { commit, ts } = read;
    const accepted = read.schema === 2 && read.accepted && { ...read.accepted, from: read.from };
    recorded.set(read.tag, { commit, ts, ...(accepted && { accepted }) });
  });
  return { recorded, whole, torn: whole < bytes.length };
}

function parseLine(where: string, line: string): Line {
  let written: unknown;
  try {
    written = JSON.parse(line);
  } catch (error) {
    throw unreadable(where, messageOf(error));
  }
  const checked = lineSchema.safeParse(written);
  if (!checked.success) {
    const why = z.prettifyError(checked.error).replaceAll('\n', ' ');
    throw newerSchema(where, written, checked.error) ?? unreadable(where, why);
  }
  return checked.data;
}

function unreadable(where: string, why: string): Fault {
  return new Fault(
    'RecordUnreadable',
    `${where}: not a line this version can read (${why}); put back a good copy of the file, or mend the line by hand`,
  );
}
