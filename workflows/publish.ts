import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import {
  outcomeEvidence,
  outcomeName,
  outcomeReason,
  outcomeTitle,
  type Outcome,
} from '../domain/outcome.ts';
import { quotableMarkdown } from '../domain/printable.ts';
import type { Asked, RunRef } from '../domain/run.ts';
import { SEARCH_ATTRIBUTES } from './protocol.ts';
import { tiersInMarkdown, type Run } from './run.ts';

/** What an operator finds in the Temporal UI: search attributes to filter by, memo and details to read. */

export function runAttributes({ recipe, asked }: Pick<RunRef, 'recipe' | 'asked'>) {
  return [{ key: SEARCH_ATTRIBUTES.Recipe, value: recipe }, ...askedAttribute(asked)];
}

function askedAttribute(asked: Asked) {
  switch (asked.by) {
    case 'sweep':
      return [{ key: SEARCH_ATTRIBUTES.SweepId, value: asked.id }];
    case 'test':
      return [];
  }
}

/** To filter by, and to read in the list. */
export function publishOutcome(outcome: Outcome, leftovers: string | null): void {
  upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.RecipeOutcome, value: outcomeName(outcome) }]);
  upsertMemo({
    outcome: outcomeTitle(outcome),
    why: outcomeReason(outcome),
    evidence: outcomeEvidence(outcome),
    leftovers,
  });
}

/** To read on the run's own page, in place of the step it is at. */
export function showOutcome(run: Run, outcome: Outcome): void {
  const evidence = outcomeEvidence(outcome);
  setCurrentDetails(
    [
      `## ${quotableMarkdown(outcomeTitle(outcome))}`,
      quotableMarkdown(outcomeReason(outcome)),
      ...(run.release ? [`Release \`${run.release.version}\`, commit \`${run.release.commit}\`.`] : []),
      tiersInMarkdown(run.tiers),
      ...run.leftovers.map((left) => `**Left behind**: ${quotableMarkdown(left)}`),
      ...run.notes.map((note) => `Note: ${quotableMarkdown(note)}`),
      ...(run.unrecorded === null ? [] : [`**Not on disk**: ${quotableMarkdown(run.unrecorded)}`]),
      ...(evidence ? [`Evidence: \`${evidence}\``] : []),
    ].join('\n\n'),
  );
}
