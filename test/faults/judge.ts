import type { RecipeResult } from '../../domain/report.ts';
import { outcomeName, outcomeReason, outcomeTitle } from '../../domain/outcome.ts';
import { versionOf, type Entry, type Expected } from './entry.ts';

/** What the catalogue says of a sweep's answer, from good to bad. */
export const MARKS = [
  'right',
  'wrong reason',
  'wrong tier',
  'wrong outcome',
  'falsely green',
  'falsely red',
] as const;
export type Mark = (typeof MARKS)[number];

export interface Verdict {
  entry: Entry;
  mark: Mark;
  /** What was seen: the outcome, its tier, its reason. */
  seen: string;
  /** Empty when it is right. */
  wrong: string[];
  seconds: number;
}

type Judged = Pick<RecipeResult, 'outcome' | 'tiers' | 'level' | 'lint'>;

/** Holds what a sweep said of an entry's last release against what it must say. */
export function judge(entry: Entry, result: Judged): Pick<Verdict, 'mark' | 'seen' | 'wrong'> {
  const { expected } = entry;
  const { outcome } = result;
  const notes = result.tiers.flatMap((one) => (one.result === 'pass' && one.note ? [one.note] : []));
  const seen = [outcomeTitle(outcome), outcomeReason(outcome), ...notes].join('; ');
  const name = outcomeName(outcome);
  if (name !== expected.outcome) {
    const mark = falsely(expected, outcome.kind);
    return { mark, seen, wrong: [`${name}, and it must be ${expected.outcome}`] };
  }
  if (outcome.kind === 'PASS') {
    const promoted = expected.promoted ?? versionOf(entry, entry.releases.length - 1);
    if (outcome.promoted !== promoted) {
      return { mark: 'wrong outcome', seen, wrong: [`${outcome.promoted} was promoted, not ${promoted}`] };
    }
  }
  if (
    expected.canonical !== undefined &&
    'canonical' in outcome &&
    outcome.canonical !== expected.canonical
  ) {
    const now = `${outcome.canonical ?? 'none'} is the canonical, not ${expected.canonical}`;
    return { mark: 'wrong outcome', seen, wrong: [now] };
  }
  const misplaced = [
    ...(outcome.kind === 'FAIL' && outcome.tier !== expected.tier
      ? [`red at ${outcome.tier}, and it must be at ${expected.tier}`]
      : []),
    ...result.tiers.flatMap(({ tier, result: said }) => {
      const wanted = expected.tiers?.[tier] ?? said;
      return wanted === said ? [] : [`${tier} is ${said}, and it must be ${wanted}`];
    }),
    ...(expected.level !== undefined && result.level !== expected.level
      ? [`level ${result.level}, and it must be ${expected.level}`]
      : []),
  ];
  if (misplaced.length > 0) return { mark: 'wrong tier', seen, wrong: misplaced };
  const lint = (result.lint ?? []).map(({ rule }) => rule);
  const unsaid = [
    ...(expected.says === undefined || saidBy(result).some((text) => text.includes(expected.says ?? ''))
      ? []
      : [`nothing of it says "${expected.says}": ${saidBy(result).join(' | ')}`]),
    ...(expected.lint ?? []).flatMap((rule) => (lint.includes(rule) ? [] : [`no lint problem ${rule}`])),
  ];
  return { mark: unsaid.length > 0 ? 'wrong reason' : 'right', seen, wrong: unsaid };
}

function falsely({ outcome }: Expected, kind: Judged['outcome']['kind']): Mark {
  const red: string[] = ['FAIL', 'GREEN-BUT-PROMOTE-FAILED'];
  if (!red.includes(outcome) && red.includes(kind)) return 'falsely red';
  return red.includes(outcome) && kind === 'PASS' ? 'falsely green' : 'wrong outcome';
}

/** Every text in which a result says why. */
function saidBy({ outcome, tiers, lint }: Judged): string[] {
  return [
    outcomeReason(outcome),
    ...tiers.flatMap((tier) => {
      if (tier.result === 'pass') return tier.note ?? [];
      return tier.result === 'not reached' ? [] : tier.reason;
    }),
    ...(lint ?? []).map(({ what }) => what),
  ];
}
