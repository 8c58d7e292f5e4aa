import { OUTSIDE, type HostileCase } from './hostile-case.ts';

/** What stands where a record of ours should: the text written in its place, made from the good one. */
export interface RecordCase extends HostileCase {
  /** The file below the state folder. */
  file: 'canonicals/thing/canonical.json' | 'ledger/thing.jsonl';
  text(good: string): string;
}

const CANONICAL = 'canonicals/thing/canonical.json';
const LEDGER = 'ledger/thing.jsonl';
const UNREADABLE = 'not a record this version can read';

const changed =
  (change: (record: Record<string, unknown>) => unknown) =>
  (good: string): string =>
    JSON.stringify(change(JSON.parse(good) as Record<string, unknown>));

export const RECORD_CASES: readonly RecordCase[] = [
  {
    name: 'record-cut',
    hostile: 'a record cut short',
    file: CANONICAL,
    text: (good) => good.slice(0, 80),
    says: UNREADABLE,
  },
  { name: 'record-empty', hostile: 'an empty record', file: CANONICAL, text: () => '', says: UNREADABLE },
  {
    name: 'record-null',
    hostile: 'a record that says null',
    file: CANONICAL,
    text: () => 'null',
    says: UNREADABLE,
  },
  {
    name: 'record-doubled',
    hostile: 'a record written twice',
    file: CANONICAL,
    text: (good) => good + good,
    says: UNREADABLE,
  },
  {
    name: 'record-future',
    hostile: 'a record of a later schema',
    file: CANONICAL,
    text: changed((record) => ({ ...record, schema: 5 })),
    says: UNREADABLE,
  },
  {
    name: 'record-more-keys',
    hostile: 'a record with a key we do not know',
    file: CANONICAL,
    text: changed((record) => ({ ...record, hooks: ['touch x'] })),
    says: UNREADABLE,
  },
  {
    name: 'record-other-recipe',
    hostile: 'the record of another recipe',
    file: CANONICAL,
    text: changed((record) => ({ ...record, recipe: 'other' })),
    says: 'is the record of "other", not of thing',
  },
  {
    name: 'record-other-recipe-escapes',
    hostile: 'the record of a recipe whose name steers a terminal',
    file: CANONICAL,
    text: changed((record) => ({ ...record, recipe: '\u001b[2J\u202egniht' })),
    says: 'not of thing',
  },
  {
    name: 'record-no-release',
    hostile: 'a record whose version is no release',
    file: CANONICAL,
    text: changed((record) => ({ ...record, version: '$(id)' })),
    says: 'not a release',
  },
  {
    name: 'record-commit-option',
    hostile: 'a record whose commit is an option of git',
    file: CANONICAL,
    text: changed((record) => ({ ...record, commit: '--upload-pack=touch x' })),
    says: UNREADABLE,
  },
  {
    name: 'record-snapshot-path',
    hostile: 'a record whose snapshot is a path out of the state folder',
    file: CANONICAL,
    text: changed((record) => ({
      ...record,
      snapshot: { id: `../../../..${OUTSIDE}`, sha256: 'a'.repeat(64), bytes: 1 },
    })),
    says: UNREADABLE,
  },
  {
    name: 'record-deep',
    hostile: 'a record of fifty thousand lists inside each other',
    file: CANONICAL,
    text: () => '['.repeat(50_000) + ']'.repeat(50_000),
    says: UNREADABLE,
  },
  {
    name: 'record-binary',
    hostile: 'a record that is no text',
    file: CANONICAL,
    text: () => '\u0000\u001b]0;x\u0007'.repeat(100),
    says: UNREADABLE,
  },
  {
    name: 'ledger-garbage',
    hostile: 'a ledger with a line that is no JSON',
    file: LEDGER,
    text: (good) => `${good}\u001b[2J not JSON\n`,
    says: 'not a line this version can read',
  },
  {
    name: 'ledger-two-commits',
    hostile: 'a ledger that has two commits for one tag',
    file: LEDGER,
    text: (good) => good + good.replace(/"commit":"[0-9a-f]{40}"/, `"commit":"${'b'.repeat(40)}"`),
    says: 'has two commits',
  },
  {
    name: 'ledger-other-commit',
    hostile: 'a ledger that has another commit for the release',
    file: LEDGER,
    text: (good) => good.replace(/"commit":"[0-9a-f]{40}"/, `"commit":"${'b'.repeat(40)}"`),
    says: "a release's tag moved upstream; nothing was pushed",
  },
  {
    name: 'ledger-moved-from-nowhere',
    hostile: 'a ledger in which a tag was accepted that moved from a commit it never had',
    file: LEDGER,
    text: (good) =>
      good +
      good
        .replace('"schema":1', `"schema":2,"accepted":{"by":"x","reason":"x"},"from":"${'b'.repeat(40)}"`)
        .replace(/"commit":"[0-9a-f]{40}"/, `"commit":"${'c'.repeat(40)}"`),
    says: 'moved from a commit that it did not have',
  },
];
