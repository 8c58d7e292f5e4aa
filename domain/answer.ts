import { blameText } from './blame.ts';
import type { LintProblem } from './level.ts';
import { outcomeTitle, type Outcome, type TierResult } from './outcome.ts';
import { quotableLine, quotableMarkdown } from './printable.ts';
import type { Tested, TestMode } from './recipe-test.ts';
import type { Revision } from './release.ts';
import { levelText, factsOf, type Fact, type TierFact } from './run-facts.ts';
import { answerMarker } from './test-request.ts';

/** What is said of a test where it was asked for: a comment that is edited as the test goes on, and a commit's status. */

/** What is known of a test by now. */
export interface TestWord {
  recipe: string;
  wanted: TestMode;
  /** The head, as it was asked for. */
  commit: string;
  /** The step it is at. */
  step: string;
  /** Whom it waits for, in words; null where it does not wait, or does not know. */
  behind: string | null;
  /** Null until it is known. */
  tested: Tested | null;
  /** What was answered so far. */
  tiers: TierResult[];
  /** How it ended; null while it goes on. */
  end: {
    outcome: Outcome;
    level: number | null;
    /** Null where it was not looked at; missing from what older versions told. */
    lint?: LintProblem[] | null;
  } | null;
}

/** A commit's status, as forges have them. */
export interface TestStatus {
  /** As in `recipe-sweep/cold`. */
  context: string;
  state: 'pending' | 'success' | 'failure' | 'error';
  /** One short line. */
  description: string;
}

/**
 * The comment, in Markdown and the order of factsOf(): of whatever others wrote nothing is a link, an image, HTML or calls anybody. It ends with the
 * line by which it is known again.
 */
export function answerText(
  word: TestWord,
  { request, test, evidence }: { request: number; test: string; evidence: string | null },
): string {
  const { recipe, wanted, commit, tested, end } = word;
  const mode = tested?.mode ?? wanted;
  const blocks = [
    `**${heading(word)}**`,
    `${mode === 'quick' ? 'Quick lane' : 'Cold test'} of ${recipe} at ${shortCode(commit)}.${
      tested?.why ? ` The quick lane was asked for: ${said(tested.why)}.` : ''
    }`,
    ...blocksOf(factsOf(toldOf(word))),
    ...(end !== null && mode === 'quick'
      ? ['A quick result is the lower confidence: nothing was installed anew, backed up or restored.']
      : []),
    [
      evidence === null
        ? `Test \`${inCode(test)}\`.`
        : `[Evidence](${evidence}) of test \`${inCode(test)}\`.`,
      'It gates nothing.',
    ].join(' '),
    answerMarker(request),
  ];
  return blocks.join('\n\n');
}

/** What the head's status says. The mode is the one that was asked for, so that one status tells of one request. */
export function answerStatus({ wanted, step, behind, tested, end }: TestWord): TestStatus {
  const context = `recipe-sweep/${wanted}`;
  if (end === null) {
    const description = behind === null ? step : `waits for ${behind}`;
    return { context, state: 'pending', description: short(description) };
  }
  const { outcome } = end;
  const mode = tested !== null && tested.mode !== wanted ? ` (${tested.mode})` : '';
  const description = short(`${outcomeTitle(outcome)}${mode}${reason(outcome)}`);
  switch (outcome.kind) {
    case 'PASS':
      return { context, state: 'success', description };
    case 'FAIL':
    case 'GREEN-BUT-PROMOTE-FAILED':
      return { context, state: 'failure', description };
    case 'SKIP':
    case 'ERROR':
      return { context, state: 'error', description };
  }
}

function heading({ step, behind, end }: TestWord): string {
  if (end !== null) return said(outcomeTitle(end.outcome));
  if (step !== 'turn') return `at ${step}`;
  return behind === null ? 'waits for its turn' : `waits for its turn, behind ${said(behind)}`;
}

/** Why, for a heading or a status that says what. */
function reason(outcome: Outcome): string {
  if (outcome.kind === 'FAIL') return `: ${outcome.tier}: ${outcome.why}`;
  return 'why' in outcome ? `: ${outcome.why}` : '';
}

function toldOf({ tested, tiers, end }: TestWord) {
  return {
    asked: { by: 'test' },
    outcome: end?.outcome ?? null,
    test: tested,
    tiers,
    level: end?.level ?? null,
    lint: end?.lint ?? null,
    ...{ release: null, spentMs: null, notes: [], leftovers: null },
  } as const;
}

/** What is said by the heading, or is for the host's operators, has no block. */
function blocksOf(facts: readonly Fact[]): string[] {
  const tiers = facts.filter((fact) => fact.about === 'tier');
  return facts.flatMap((fact): string[] => {
    switch (fact.about) {
      case 'why':
        return [said(fact.text)];
      case 'blame':
        return [`Whose it is: ${blameText(fact)}.`];
      case 'tested':
        return [fromTo(fact.tested)];
      case 'tier':
        return fact === tiers[0] ? [tierTable(tiers)] : [];
      case 'level':
        return [`Level ${levelText(fact)}.`];
      case 'outcome':
      case 'release':
      case 'promote':
      case 'canonical':
      case 'lint':
      case 'time':
      case 'note':
      case 'left':
      case 'unrecorded':
      case 'evidence':
        return [];
    }
  });
}

function fromTo({ base, head }: Tested): string {
  return base === null
    ? `Installed from nothing: ${revision(head)}.`
    : `Base ${revision(base)} → head ${revision(head)}.`;
}

function revision({ version, commit }: Revision): string {
  return version === null ? shortCode(commit) : `${said(version)} (${shortCode(commit)})`;
}

/** What failed says why above the table, once. */
function tierTable(tiers: readonly TierFact[]): string {
  const rows = tiers.map(({ tier, result, ms, note }) => {
    const took = ms === null ? '' : `${Math.round(ms / 1000)} s`;
    return `| ${tier} | ${result} | ${took} | ${said(note ?? '')} |`;
  });
  return ['| tier | result | took | |', '| --- | --- | --- | --- |', ...rows].join('\n');
}

/**
 * Others' words. Forges make links of addresses and of names after an @, and look for them in what Markdown's backslashes
 * have become by then: what nobody sees parts them.
 */
function said(text: string): string {
  return quotableMarkdown(text).replaceAll(/@|:(?=\/\/)|www(?=\.)/gi, '$&\u{200b}');
}

function inCode(text: string): string {
  return quotableLine(text).replaceAll('`', "'");
}

function shortCode(commit: string): string {
  return `\`${commit.slice(0, 10)}\``;
}

/** As much as forges show of a status. */
const LONGEST_DESCRIPTION = 140;

function short(text: string): string {
  const line = quotableLine(text);
  return line.length <= LONGEST_DESCRIPTION ? line : `${line.slice(0, LONGEST_DESCRIPTION - 1)}…`;
}
