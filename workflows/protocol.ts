import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import { defineSearchAttributeKey } from '@temporalio/common';
import type { Decision } from '../domain/decide.ts';
import type { Need } from '../domain/disk.ts';
import { parseRecipeRunId, recipeRunId } from '../domain/names.ts';
import type { Outcome } from '../domain/outcome.ts';
import type { Tested } from '../domain/recipe-test.ts';
import type { Release } from '../domain/release.ts';
import type { SweepVerdict } from '../domain/report.ts';
import type { SweepSettings } from '../domain/run.ts';
import type { ServiceOrder, ServiceOutcome } from '../domain/service.ts';
import type { ToldStanding } from '../domain/standing.ts';
import type { TurnRequest, Turns } from '../domain/turn.ts';

/** Everything that crosses between client, server and worker by name: this page is the protocol. */

export const SWEEP_WORKFLOW = 'sweepWorkflow';
export const RECIPE_WORKFLOW = 'recipeSweepWorkflow';
export const TEST_WORKFLOW = 'recipeTestWorkflow';
export const PLAN_WORKFLOW = 'planWorkflow';
export const CANONICAL_WORKFLOW = 'canonicalWorkflow';
export const LEDGER_WORKFLOW = 'ledgerWorkflow';
export const REAP_WORKFLOW = 'reapWorkflow';
export const HOST_WORKFLOW = 'hostWorkflow';
export const RECONCILE_WORKFLOW = 'reconcileWorkflow';
export const SERVICE_WORKFLOW = 'serviceWorkflow';

/**
 * Several hosts may share a namespace. Each has names of its own, so that no worker ever takes a step of another's:
 * what a step finds and changes is on its host alone.
 */
export function taskQueueOf(host: string): string {
  return `recipe-sweep-${host}`;
}

/** A worker that waits on its queue asks again at least this often; one that did not has gone. */
export const POLLING_WITHIN_MS = 75_000;

/** The schedule of a host's weekly sweep. */
export function scheduleIdOf(host: string): string {
  return `recipe-sweep-weekly-${host}`;
}

/** The reaper that a host's worker starts when it starts. */
export function reapWorkflowId(host: string): string {
  return `reap-${host}`;
}

/** The workflow that grants a host to one workflow at a time. */
export function hostWorkflowId(host: string): string {
  return `host-${host}`;
}

/** What the IDs of a host's sweeps begin with; Temporal appends the time to those of the schedule. */
export function sweepIdPrefix(host: string): string {
  return `sweep-${host}`;
}

/** The ID of a sweep started by hand, in the same form. */
export function sweepWorkflowId(host: string, now: Date): string {
  return `${sweepIdPrefix(host)}-${now.toISOString().replace(/\.\d+Z$/, 'Z')}`;
}

/** What the IDs of a host's tests begin with. */
export function testIdPrefix(host: string): string {
  return `test-${host}`;
}

/** The ID of a test started by hand. */
export function testWorkflowId(host: string, recipe: string, now: Date): string {
  return `${testIdPrefix(host)}-${recipe}-${now.toISOString().replace(/\.\d+Z$/, 'Z')}`;
}

/** The ID of the test that a comment asks for: one, however often the forge tells of the comment. */
export function commentTestWorkflowId(host: string, recipe: string, comment: number): string {
  return `${testIdPrefix(host)}-${recipe}-comment-${comment}`;
}

/** The schedule of a host's reconciles. */
export function reconcileScheduleIdOf(host: string): string {
  return `recipe-sweep-reconcile-${host}`;
}

/** What the IDs of a host's reconciles begin with; Temporal appends the time to those of the schedule. */
export function reconcileIdPrefix(host: string): string {
  return `reconcile-${host}`;
}

/** The ID of a reconcile started by hand, in the same form. */
export function reconcileWorkflowId(host: string, now: Date): string {
  return `${reconcileIdPrefix(host)}-${now.toISOString().replace(/\.\d+Z$/, 'Z')}`;
}

/** The child that sweeps one recipe. */
export const recipeWorkflowId = recipeRunId;

/** What a workflow is about, as far as its name says: a recipe's run and the sweep that asked for it, a sweep, a test, or else. */
export type Subject =
  | { recipe: string; sweep: string; run: string }
  | { sweep: string }
  /** Its steps say of which recipe; people may call it as they like. */
  | { test: string }
  | { workflow: string };

export function subjectOf({ type, id }: { type: string; id: string }): Subject {
  if (type === SWEEP_WORKFLOW) return { sweep: id };
  if (type === TEST_WORKFLOW) return { test: id };
  const run = type === RECIPE_WORKFLOW ? parseRecipeRunId(id) : null;
  return run === null ? { workflow: id } : { recipe: run.recipe, sweep: run.asker, run: id };
}

export const SEARCH_ATTRIBUTES = {
  /** The recipe a run is about. */
  Recipe: defineSearchAttributeKey('Recipe', 'KEYWORD'),
  /** The sweep a run belongs to. */
  SweepId: defineSearchAttributeKey('SweepId', 'KEYWORD'),
  /** outcomeName() of the run's outcome. */
  RecipeOutcome: defineSearchAttributeKey('RecipeOutcome', 'KEYWORD'),
  /** What a test is: cold or quick, as it was asked for. */
  TestMode: defineSearchAttributeKey('TestMode', 'KEYWORD'),
  /** `<recipe>#<number>` of the pull request that a test is about. */
  PullRequest: defineSearchAttributeKey('PullRequest', 'KEYWORD'),
  /** What a reconcile said of its services: each of ServiceOutcome's words that it said of any. */
  ServiceOutcome: defineSearchAttributeKey('ServiceOutcome', 'KEYWORD_LIST'),
  /** The sweep's verdict: green, red, none or skipped. */
  SweepVerdict: defineSearchAttributeKey('SweepVerdict', 'KEYWORD'),
};

/** Input of sweepWorkflow, as an operator types it. No recipes means all enrolled ones. */
export interface SweepInput {
  recipes?: string[];
}

/** Input of recipeSweepWorkflow, as its sweep gives it. */
export interface RecipeSweepInput {
  recipe: string;
  sweep: { id: string; runId: string };
  settings: SweepSettings;
  /** When the sweep's budget ends; milliseconds since the epoch. */
  deadlineMs: number;
  /** What an earlier run left of this recipe and could not be removed; null when nothing is. */
  left: string | null;
  /** Those whose turn comes after it, the next ones alone; missing from what older versions gave. */
  next?: string[];
}

/** What recipeSweepWorkflow returns. */
export interface RecipeSweepResult {
  outcome: Outcome;
  /** What was left and where, which is no part of the outcome; null when nothing was. */
  leftovers: string | null;
  /** Why the outcome is not on disk; null when it is. */
  unrecorded: string | null;
}

/**
 * Input of recipeTestWorkflow, as an operator types it: `{"recipe": "hedgedoc", "pr": 12, "quick": true}`. Without
 * `pr` and `ref` main's tip is tested. The head is the pull request's when the test starts, unless `ref` says it.
 */
export interface TestInput {
  recipe: string;
  /** The pull request's number on the mirror. */
  pr?: number;
  /** A whole commit ID that the mirror has. With `pr`, the head that is meant. */
  ref?: string;
  quick?: boolean;
  /** The comment that asks for it, where one does: it is answered there. */
  request?: TestRequest;
}

/** A comment that asks for a test, as it was read from the forge. */
export interface TestRequest {
  comment: number;
  /** Who wrote it. */
  by: string;
  /** When; ISO 8601, UTC. */
  at: string;
}

/** What recipeTestWorkflow returns. */
export interface RecipeTestResult {
  /** Its workflow's ID. */
  test: string;
  recipe: string;
  outcome: Outcome;
  tested: Tested | null;
  leftovers: string | null;
  unrecorded: string | null;
}

/** Input of canonicalWorkflow, as `recipe-sweep canonical forget`, `rebuild` and `drop-data` give it. */
export interface CanonicalChange {
  recipe: string;
  change: 'forget' | 'rebuild' | 'drop-data';
}

/** Input of reconcileWorkflow, as an operator types it. No services means all of them. */
export interface ReconcileInput {
  services?: string[];
}

/** What a reconcile did about one service. */
export interface ReconciledService {
  service: string;
  outcome: ServiceOutcome;
  why: string;
  /** The release that it is at; null when nothing is known to be healthy there. */
  version: string | null;
  /** The version that waits for an approval; null when none does. */
  held: string | null;
}

/** What reconcileWorkflow returns, and answers to its query `services`. */
export interface ReconcileResult {
  reconcile: string;
  state: 'waiting for its turn' | 'reconciling' | 'waiting for an approval' | 'done';
  services: ReconciledService[];
}

/** Input of serviceWorkflow, as `recipe-sweep service adopt`, `approve`, `hold` and `resume` give it. */
export interface ServiceOrderInput {
  service: string;
  order: ServiceOrder;
  /** Who says so: user and host. */
  by: string;
}

/** Input of ledgerWorkflow, as `recipe-sweep ledger accept` gives it. */
export interface TagAcceptance {
  recipe: string;
  tag: string;
  reason: string;
  /** Who accepts it: user and host. */
  by: string;
}

/**
 * The steps of a recipe's run, in the words of the spec, with the tiers of the cold test by name. Those of a test alone:
 * `target` looks at what is to be tested, at `turn` it waits for the host, `head` brings the commit here.
 */
export type Step =
  | 'target'
  | 'turn'
  | 'preflight'
  | 'mirror-sync'
  | 'resolve'
  | 'head'
  | 'decide'
  | 'cold-test: dependencies'
  | 'cold-test: install base'
  | 'cold-test: install an older base'
  | 'cold-test: install'
  | 'cold-test: upgrade'
  | 'cold-test: backup'
  | 'cold-test: restore'
  | 'cold-test: custom'
  | 'cold-test: lint'
  | 'quick-lane: reattach'
  | 'quick-lane: upgrade'
  | 'quick-lane: custom'
  | 'quick-lane: lint'
  | 'quick-lane: undeploy'
  | 'promote'
  | 'teardown'
  | 'record'
  | 'done';

export interface RecipeProgress {
  recipe: string;
  state: 'waiting' | 'running' | 'done';
  /** The child workflow, once it was started. */
  workflowId: string | null;
  startedMs: number | null;
  endedMs: number | null;
  /** With a reason cut short where it is long: the result on disk has it whole. */
  outcome: Outcome | null;
}

/** Answer of the sweep's query `progress`. */
export interface SweepProgress {
  sweep: string;
  state: 'preparing' | 'waiting for its turn' | 'sweeping' | 'paused' | 'aborting' | 'reporting' | 'done';
  recipes: RecipeProgress[];
}

/** Answer of a recipe run's query `step`. Times are milliseconds since the epoch. */
export interface StepProgress {
  step: Step;
  sinceMs: number;
}

export const progressQuery = defineQuery<SweepProgress>('progress');
export const stepQuery = defineQuery<StepProgress>('step');

/** Operators' updates; each answers with one sentence saying what will happen. */
export const pauseUpdate = defineUpdate<string>('pause');
export const resumeUpdate = defineUpdate<string>('resume');
export const skipUpdate = defineUpdate<string, [{ recipe: string; reason?: string }]>('skip');
export const abortUpdate = defineUpdate<string>('abort');

/** To a reconcile that holds a release back. Refused for a version that it does not hold. */
export const approveUpdate = defineUpdate<string, [{ service: string; version: string; by?: string }]>(
  'approve',
);
export const servicesQuery = defineQuery<ReconcileResult>('services');

/** What the workflow of a host tells: that the turn of that number is granted, or what follows. */
export type TurnNews =
  | { number: number }
  /** Another sweep is under way. */
  | { number: number; refused: TurnRequest }
  /** The same was asked for once more, later. */
  | { number: number; superseded: TurnRequest }
  /** To a test: whom it waits for by now, in words. */
  | { number: number; behind: string }
  /** Somebody waits for it to give way. */
  | { wanted: true };

export const turnSignal = defineSignal<[TurnNews]>('turn');

/** To the workflow of a host, and its query. */
export const askSignal = defineSignal<[TurnRequest]>('ask');
export const leaveSignal = defineSignal<[Pick<TurnRequest, 'workflow'>]>('leave');
export const turnsQuery = defineQuery<Turns>('turns');

/** What sweepWorkflow returns. */
export interface SweepResult {
  sweep: string;
  verdict: SweepVerdict;
  /** Why the sweep did nothing or ended early, else null. */
  note: string | null;
  report: string | null;
  /** What went wrong beside the recipes' outcomes. */
  problems: string[];
  /** The fingerprint of what of the host decides verdicts; null where it was not looked at. */
  environment: string | null;
  recipes: { recipe: string; outcome: string; why: string }[];
  /** Where each of them stands, in the order of telling; missing of one that was skipped, or that an older version closed. */
  standings?: ToldStanding[];
  /** The site's first page; missing where it has no address. */
  site?: string;
}

/** One line of planWorkflow's answer: what a sweep would do now. */
export interface PlanEntry {
  recipe: string;
  latest: Release | null;
  canonical: string | null;
  decision: Decision['decision'] | 'error' | 'not enrolled';
  reason: string;
  /** The room that a run of it takes, in bytes; null where nothing is known of that. */
  disk: Need | null;
}
