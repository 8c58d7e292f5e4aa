import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TemporalFailure,
} from '@temporalio/common';
import { isRecipeName } from '../domain/names.ts';

/**
 * Checks what somebody typed as the input of a sweep. Null stands for all enrolled recipes.
 * Fails the workflow at once, with one message that names everything that is wrong.
 */
export function parseSweepInput(input: unknown): string[] | null {
  if (input === undefined || input === null) return null;
  if (typeof input !== 'object' || Array.isArray(input)) {
    throw badInput([`the input is ${shown(input)}, not an object`]);
  }
  const wrong = Object.keys(input)
    .filter((key) => key !== 'recipes')
    .map((key) => `${key}: unknown key`);
  const recipes = 'recipes' in input ? input.recipes : undefined;
  if (recipes === undefined) {
    if (wrong.length > 0) throw badInput(wrong);
    return null;
  }
  if (!Array.isArray(recipes)) wrong.push(`recipes: ${shown(recipes)} is not a list of recipe names`);
  else if (recipes.length === 0)
    wrong.push('recipes: the list is empty; leave it out to sweep all enrolled recipes');
  else {
    for (const [index, name] of recipes.entries()) {
      if (typeof name !== 'string' || !isRecipeName(name))
        wrong.push(`recipes[${index}]: ${shown(name)} is not a recipe name`);
    }
  }
  if (wrong.length > 0) throw badInput(wrong);
  return recipes as string[];
}

function shown(value: unknown): string {
  return (JSON.stringify(value) ?? String(value)).slice(0, 100);
}

function badInput(wrong: string[]): ApplicationFailure {
  const message = `${wrong.join('; ')}. Expected {} or {"recipes": ["<name>", …]}`;
  return ApplicationFailure.create({ type: 'BadInput', message, nonRetryable: true });
}

/** The failure that a step or a child ended with, without the wrappers around it. */
export function rootFailure(error: unknown): unknown {
  return (error instanceof ActivityFailure || error instanceof ChildWorkflowFailure) && error.cause
    ? rootFailure(error.cause)
    : error;
}

/** What it says. */
export function reasonOf(error: unknown): string {
  const root = rootFailure(error);
  return root instanceof TemporalFailure || root instanceof Error ? root.message : String(root);
}
