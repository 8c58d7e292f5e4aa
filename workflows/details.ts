import { blameText } from '../domain/blame.ts';
import { quotableMarkdown } from '../domain/printable.ts';
import type { Tested } from '../domain/recipe-test.ts';
import type { Revision } from '../domain/release.ts';
import { levelText, type Fact, type TierFact } from '../domain/run-facts.ts';

/** A run's facts as the Temporal UI shows them, in Markdown, a paragraph each; tiers are one list. */
export function detailsOf(facts: readonly Fact[]): string[] {
  const tiers = facts.filter((fact) => fact.about === 'tier');
  const why = facts.find((fact) => fact.about === 'why');
  return facts.flatMap((fact): string[] => {
    switch (fact.about) {
      case 'outcome':
        return [`## ${quotableMarkdown(fact.title)}`];
      case 'why':
        return [quotableMarkdown(fact.text)];
      case 'blame':
        return [`Whose it is: ${blameText(fact)}.`];
      case 'release':
        return [`Release \`${fact.release.version}\`, commit \`${fact.release.commit}\`.`];
      case 'tested':
        return [testedText(fact.tested)];
      case 'tier':
        return fact === tiers[0] ? [tiers.map((one) => tierText(one, why?.by === one.tier)).join('\n')] : [];
      case 'canonical':
        return [`Canonical: ${quotableMarkdown(fact.version ?? 'none')}`];
      case 'level':
        return [`Level ${levelText(fact)}`];
      case 'lint':
        return fact.problems.length === 0 ? [] : [`Lint problems: ${fact.problems.length}`];
      case 'note':
        return [`Note: ${quotableMarkdown(fact.text)}`];
      case 'left':
        return [`**Left behind**: ${quotableMarkdown(fact.text)}`];
      case 'unrecorded':
        return [`**Not on disk**: ${quotableMarkdown(fact.text)}`];
      case 'evidence':
        return [`Evidence: \`${fact.file}\``];
      // Why it failed stands above, and the history beside it tells how long each step took.
      case 'promote':
      case 'time':
        return [];
    }
  });
}

/** Of the one by which the run is red what was seen stands above. */
function tierText({ tier, result, seen, note }: TierFact, isToldAbove: boolean): string {
  const said = (isToldAbove ? null : seen) ?? note;
  return `- ${tier}: ${result}${said === null ? '' : ` (${quotableMarkdown(said)})`}`;
}

function testedText({ mode, why, head, base }: Tested): string {
  const of = ({ version, commit }: Revision): string =>
    version === null ? `\`${commit}\`` : `${quotableMarkdown(version)} (\`${commit}\`)`;
  const from = base === null ? '' : `${of(base)} → `;
  return `${mode}${why === null ? '' : `, since ${quotableMarkdown(why)}`}: ${from}${of(head)}`;
}
