import {
  ActivityFailure,
  ApplicationFailure,
  ChildWorkflowFailure,
  TemporalFailure,
  TimeoutFailure,
} from '@temporalio/common';
import type { FaultType } from '../domain/fault.ts';
import { isRecipeName } from '../domain/names.ts';
import { quotableLine } from '../domain/printable.ts';
import { parseVersion } from '../domain/version.ts';
import type {
  CanonicalChange,
  RecipeSweepInput,
  ServiceOrderInput,
  TagAcceptance,
  TestInput,
} from './protocol.ts';

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
    .map((key) => `${quotableLine(key.slice(0, 100))}: unknown key`);
  const recipes = 'recipes' in input ? input.recipes : undefined;
  if (recipes === undefined) {
    if (wrong.length > 0) throw badInput(wrong);
    return null;
  }
  if (!Array.isArray(recipes)) wrong.push(`recipes: ${shown(recipes)} is not a list of recipe names`);
  else if (recipes.length === 0)
    wrong.push('recipes: the list is empty; leave it out to sweep all enrolled recipes');
  else {
    if (recipes.length > MOST_RECIPES)
      wrong.push(`recipes: ${recipes.length} names, more than ${MOST_RECIPES}`);
    for (const [index, name] of recipes.slice(0, MOST_RECIPES).entries()) {
      if (typeof name !== 'string' || !isRecipeName(name))
        wrong.push(`recipes[${index}]: ${shown(name)} is not a recipe name`);
    }
  }
  if (wrong.length > 0) throw badInput(wrong);
  return recipes as string[];
}

/** More than any host can sweep within its budget. */
const MOST_RECIPES = 10_000;
const PROBLEMS_NAMED = 10;

/**
 * Checks the input of one recipe's run: its sweep's, or what somebody typed, which is why a recipe's name must
 * be one before it becomes part of a path. The workflow has the one ID that such a run has: its files, its records and
 * its results are called by that, and another run's are not to be taken for them.
 */
export function parseRecipeSweepInput(input: unknown, workflowId: string): RecipeSweepInput {
  const { recipe, sweep, settings, deadlineMs, left, next = [] } = fieldsOf(input);
  const { id, runId } = fieldsOf(sweep);
  const limits = fieldsOf(settings);
  const wrong: string[] = [];
  if (typeof recipe !== 'string' || !isRecipeName(recipe)) {
    wrong.push(`recipe: ${shown(recipe)} is not a recipe name`);
  }
  for (const [name, value] of Object.entries({ id, runId })) {
    if (typeof value !== 'string' || value === '') wrong.push(`sweep.${name}: ${shown(value)} is not an ID`);
  }
  const { attempts, tierMs, promoteMs, sweepMs } = limits;
  for (const [name, value] of Object.entries({ attempts, tierMs, promoteMs, sweepMs })) {
    if (!Number.isSafeInteger(value) || Number(value) < 1) {
      wrong.push(`settings.${name}: ${shown(value)} is not a whole number above 0`);
    }
  }
  if (!Number.isFinite(deadlineMs)) wrong.push(`deadlineMs: ${shown(deadlineMs)} is not a time`);
  if (left !== null && typeof left !== 'string') wrong.push(`left: ${shown(left)} is not a text`);
  if (!Array.isArray(next) || next.some((name) => typeof name !== 'string' || !isRecipeName(name))) {
    wrong.push(`next: ${shown(next)} is not a list of recipe names`);
  }
  const called = `${String(id)}/${String(recipe)}`;
  if (wrong.length === 0 && workflowId !== called) {
    wrong.push(`${shown(workflowId)} is not the workflow ID of this run, ${shown(called)}`);
  }
  if (wrong.length > 0) {
    throw badInput(wrong, 'Expected what a sweep gives; to sweep one recipe, start a sweep of it');
  }
  return input as RecipeSweepInput;
}

/** Git's, in either of its two lengths. */
const COMMIT = /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/;

/** Checks what somebody typed as the input of a test, or what a comment came to. */
export function parseTestInput(input: unknown): TestInput {
  const { recipe, pr, ref, quick, request } = fieldsOf(input);
  const wrong = [
    ...unknownKeys(input, '', ['recipe', 'pr', 'ref', 'quick', 'request']),
    ...(request === undefined ? [] : unknownKeys(request, 'request.', ['comment', 'by', 'at'])),
  ];
  if (typeof recipe !== 'string' || !isRecipeName(recipe))
    wrong.push(`recipe: ${shown(recipe)} is not a recipe name`);
  if (pr !== undefined && !isNumber(pr)) wrong.push(`pr: ${shown(pr)} is not a pull request's number`);
  if (ref !== undefined && (typeof ref !== 'string' || !COMMIT.test(ref)))
    wrong.push(`ref: ${shown(ref)} is not a whole commit ID of 40 or 64 characters 0-9 and a-f`);
  if (quick !== undefined && typeof quick !== 'boolean')
    wrong.push(`quick: ${shown(quick)} is neither true nor false`);
  if (request !== undefined) {
    const { comment, by, at } = fieldsOf(request);
    if (!isNumber(comment)) wrong.push(`request.comment: ${shown(comment)} is not a comment's number`);
    if (typeof by !== 'string' || by === '' || by.length > LONGEST_NAME)
      wrong.push(`request.by: ${shown(by)} is nobody's name`);
    if (typeof at !== 'string' || Number.isNaN(Date.parse(at)))
      wrong.push(`request.at: ${shown(at)} is not a time`);
    if (pr === undefined || ref === undefined)
      wrong.push('request: a comment asks for a head of a pull request, so "pr" and "ref" go with it');
  }
  if (wrong.length > 0) {
    const expected =
      'Expected {"recipe": "<name>"}, with "pr": <number>, "ref": "<commit>" and "quick": true where they are meant';
    throw badInput(wrong, expected);
  }
  return input as TestInput;
}

function isNumber(value: unknown): value is number {
  return Number.isSafeInteger(value) && Number(value) > 0;
}

function unknownKeys(value: unknown, before: string, known: readonly string[]): string[] {
  return Object.keys(fieldsOf(value))
    .filter((key) => !known.includes(key))
    .map((key) => `${before}${quotableLine(key.slice(0, 100))}: unknown key`);
}

/** Checks what is to be done about which canonical. */
export function parseCanonicalInput(input: unknown): CanonicalChange {
  const { recipe, change } = fieldsOf(input);
  const wrong: string[] = [];
  if (typeof recipe !== 'string' || !isRecipeName(recipe))
    wrong.push(`recipe: ${shown(recipe)} is not a recipe name`);
  if (change !== 'forget' && change !== 'rebuild' && change !== 'drop-data')
    wrong.push(`change: ${shown(change)} is none of "forget", "rebuild" and "drop-data"`);
  if (wrong.length > 0) throw badInput(wrong, 'Expected {"recipe": "<name>", "change": "forget"}');
  return input as CanonicalChange;
}

/** As long as anybody reads. */
const LONGEST_REASON = 500;
const LONGEST_NAME = 200;
const WORDS = /[\p{L}\p{N}]/u;

/** Checks what somebody typed as the input of a reconcile. Null stands for all live services. */
export function parseReconcileInput(input: unknown): string[] | null {
  if (input === undefined || input === null) return null;
  const wrong = unknownKeys(input, '', ['services']);
  const { services } = fieldsOf(input);
  if (typeof input !== 'object') wrong.push(`the input is ${shown(input)}, not an object`);
  if (services !== undefined && (!Array.isArray(services) || services.length === 0))
    wrong.push(`services: ${shown(services)} is not a list of names; leave it out to reconcile all of them`);
  for (const [index, name] of (Array.isArray(services) ? services : []).slice(0, MOST_RECIPES).entries()) {
    if (typeof name !== 'string' || !isRecipeName(name))
      wrong.push(`services[${index}]: ${shown(name)} is not a recipe name`);
  }
  if (wrong.length > 0) throw badInput(wrong, 'Expected {} or {"services": ["<name>", …]}');
  return (services as string[] | undefined) ?? null;
}

/** Checks what an operator says of which service. */
export function parseServiceOrder(input: unknown): ServiceOrderInput {
  const { service, order, by } = fieldsOf(input);
  const { order: what, version, reason } = fieldsOf(order);
  const wrong: string[] = [];
  if (typeof service !== 'string' || !isRecipeName(service))
    wrong.push(`service: ${shown(service)} is not a recipe name`);
  if (what === 'approve' && (typeof version !== 'string' || parseVersion(version) === null))
    wrong.push(`order.version: ${shown(version)} is not a release's (x.y.z+app)`);
  if (what === 'hold') wrong.push(...wrongWords('order.reason', reason, LONGEST_REASON));
  if (!['adopt', 'approve', 'hold', 'resume'].includes(String(what)))
    wrong.push(`order.order: ${shown(what)} is none of "adopt", "approve", "hold" and "resume"`);
  wrong.push(...wrongWords('by', by, LONGEST_NAME));
  if (wrong.length > 0)
    throw badInput(wrong, 'Expected {"service": "<name>", "order": {"order": "adopt"}, "by": "<who>"}');
  return input as ServiceOrderInput;
}

function wrongWords(name: string, value: unknown, longest: number): string[] {
  if (typeof value !== 'string' || !WORDS.test(value)) return [`${name}: ${shown(value)} says nothing`];
  return value.length > longest ? [`${name}: longer than ${longest} characters`] : [];
}

/** Checks which tag of which recipe is accepted, by whom and why. */
export function parseTagAcceptance(input: unknown): TagAcceptance {
  const { recipe, tag, reason, by } = fieldsOf(input);
  const wrong: string[] = [];
  if (typeof recipe !== 'string' || !isRecipeName(recipe))
    wrong.push(`recipe: ${shown(recipe)} is not a recipe name`);
  if (typeof tag !== 'string' || parseVersion(tag) === null)
    wrong.push(`tag: ${shown(tag)} is not a release's (x.y.z+app); no other needs to be accepted`);
  wrong.push(...wrongWords('reason', reason, LONGEST_REASON), ...wrongWords('by', by, LONGEST_NAME));
  if (wrong.length > 0)
    throw badInput(
      wrong,
      'Expected {"recipe": "<name>", "tag": "<x.y.z+app>", "reason": "<why>", "by": "<who>"}',
    );
  return input as TagAcceptance;
}

/** The failure of a sweep that was given, by hand, what only a sweep hands to its next run. */
export function secondInput(): ApplicationFailure {
  return badInput(['a second input']);
}

function fieldsOf(value: unknown): Record<string, unknown> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}

function shown(value: unknown): string {
  return quotableLine((JSON.stringify(value) ?? String(value)).slice(0, 100));
}

function badInput(
  wrong: string[],
  expected = 'Expected {} or {"recipes": ["<name>", …]}',
): ApplicationFailure {
  const more = wrong.length > PROBLEMS_NAMED ? [`and ${wrong.length - PROBLEMS_NAMED} more`] : [];
  const message = `${[...wrong.slice(0, PROBLEMS_NAMED), ...more].join('; ')}. ${expected}`;
  return ApplicationFailure.create({ type: 'BadInput', message, nonRetryable: true });
}

/** Ends a run before its turn on this host, for want of what its hooks and checks need; domain/run.ts: Found. */
export function refuseWithout(lack: string | undefined): void {
  if (lack === undefined) return;
  throw ApplicationFailure.create({
    type: 'Preflight' satisfies FaultType,
    message: lack,
    nonRetryable: true,
  });
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
  if (root instanceof TimeoutFailure) {
    return root.timeoutType === 'HEARTBEAT'
      ? 'its worker fell silent, and no other took over in time'
      : 'it took longer than it may';
  }
  return root instanceof TemporalFailure || root instanceof Error ? root.message : String(root);
}

/** The kind of fault it is, as domain/fault.ts names them, or as somebody else did. */
export function faultOf(error: unknown): string {
  const root = rootFailure(error);
  if (root instanceof TimeoutFailure) return 'TimedOut' satisfies FaultType;
  return (root instanceof ApplicationFailure ? root.type : null) ?? ('Bug' satisfies FaultType);
}
