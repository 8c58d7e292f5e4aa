import { upsertMemo, upsertSearchAttributes } from '@temporalio/workflow';
import {
  outcomeEvidence,
  outcomeName,
  outcomeReason,
  outcomeTitle,
  type Outcome,
} from '../domain/outcome.ts';
import { pullRequestName, type TestMode } from '../domain/recipe-test.ts';
import type { RunRef } from '../domain/run.ts';
import { SEARCH_ATTRIBUTES, type TestInput } from './protocol.ts';

/** What an operator finds in the Temporal UI: search attributes to filter by, memo and details to read. */

/** Of a sweep's run. */
export function runAttributes({ recipe, asked }: Pick<RunRef, 'recipe' | 'asked'>) {
  return [
    { key: SEARCH_ATTRIBUTES.Recipe, value: recipe },
    { key: SEARCH_ATTRIBUTES.SweepId, value: asked.id },
  ];
}

/** The same of a test. */
export function testAttributes({ recipe, pr, quick }: Pick<TestInput, 'recipe' | 'pr' | 'quick'>) {
  const mode: TestMode = quick ? 'quick' : 'cold';
  return [
    { key: SEARCH_ATTRIBUTES.Recipe, value: recipe },
    { key: SEARCH_ATTRIBUTES.TestMode, value: mode },
    ...(pr === undefined ? [] : [{ key: SEARCH_ATTRIBUTES.PullRequest, value: pullRequestName(recipe, pr) }]),
  ];
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
