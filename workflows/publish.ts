import { setCurrentDetails, upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import {
  outcomeEvidence,
  outcomeName,
  outcomeReason,
  outcomeTitle,
  type Outcome,
} from '../domain/outcome.ts';
import type { RunRef } from '../domain/run.ts';
import { SEARCH_ATTRIBUTES } from './protocol.ts';
import type { Run } from './run.ts';

/** What an operator finds in the Temporal UI: search attributes to filter by, memo and details to read. */

export function runAttributes({ recipe, sweep }: Pick<RunRef, 'recipe' | 'sweep'>) {
  return [
    { key: SEARCH_ATTRIBUTES.Recipe, value: recipe },
    { key: SEARCH_ATTRIBUTES.SweepId, value: sweep.id },
  ];
}

export function publishOutcome(run: Run, outcome: Outcome): void {
  upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.RecipeOutcome, value: outcomeName(outcome) }]);
  const evidence = outcomeEvidence(outcome);
  upsertMemo({ outcome: outcomeTitle(outcome), why: outcomeReason(outcome), evidence });
  const tiers = run.tiers.map(
    (tier) => `- ${tier.tier}: ${tier.result}${'reason' in tier ? ` (${tier.reason})` : ''}`,
  );
  setCurrentDetails(
    [
      `## ${outcomeTitle(outcome)}`,
      outcomeReason(outcome),
      ...(run.release ? [`Release \`${run.release.version}\`, commit \`${run.release.commit}\`.`] : []),
      ...(tiers.length > 0 ? [tiers.join('\n')] : []),
      ...(evidence ? [`Evidence: \`${evidence}\``] : []),
    ].join('\n\n'),
  );
}
