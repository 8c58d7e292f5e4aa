import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';
import type { Boundary } from '../../host/machine/boundary.ts';
import { recipeWorkflowId } from '../../workflows/protocol.ts';
import { until } from '../e2e/system.ts';
import { createChecker, type Checker } from './checker.ts';
import { diceOf, type Dice } from './dice.ts';
import { KEYCLOAK, keycloakOf, REALM_RECIPE, STRANGERS } from './keycloak.ts';
import { FAULTS, faultsFor, type Fault, type FaultName, type Target } from './faults.ts';
import {
  CHAOS_RECIPES,
  createPublisher,
  forgetCanonical,
  forgetService,
  LIVE_RECIPE,
  needsLeftovers,
  passesOf,
  QUIET_RECIPE,
  scenariosFor,
  type Publisher,
  type Scenario,
  STRUCK_AT,
  takeDown,
} from './scenarios.ts';
import { startStage, type Stage } from './stage.ts';
import { readJson, type Strike, type Struck } from './strike.ts';

/** One run: which fault strikes at which boundary of which story. */
export interface Plan {
  scenario: Scenario;
  fault: FaultName;
  /** Null for a fault that comes after the sweep, test or reconcile. */
  at: { boundary: Boundary; nth: number } | null;
  dice: Dice;
}

export interface Verdict {
  number: number;
  plan: Plan;
  /** Outcome of the sweep, test or reconcile that was struck, then of those after it. */
  outcomes: string[];
  /** Empty when all is well. */
  breaches: string[];
  seconds: number;
}

/** A series of runs on one system, which is made when it is needed, and made anew after a breach. */
export interface Campaign {
  play(plan: Plan, number?: number): Promise<Verdict>;
  /** Every boundary that was passed so far. */
  passed: ReadonlySet<string>;
  close(): Promise<void>;
}

export interface CampaignOptions {
  temporal: string;
  /** Where what a breach left is kept; the state folder, the logs. Nowhere when it is not given. */
  keep?: string;
}

const SWEEP_MS = 360_000;
const SETTLED_MS = 480_000;
/** Between two questions to the server, whose answers take CPU time from what is being tested. */
const ASK_MS = 500;
/** Faults that need no boundary come every so many runs. */
const AFTER_EVERY = 6;

/** Plans for runs `from` to `from + runs - 1` of the campaign with that seed. */
export function plansOf(
  seed: number,
  from: number,
  runs: number,
  fixed: { at?: { boundary: Boundary; nth: number | null }; fault?: FaultName; story?: string },
): Plan[] {
  const { fault: always, story = '' } = fixed;
  const scenariosOf = (boundary: Boundary | null): readonly Scenario[] =>
    scenariosFor(boundary)
      .filter(({ name }) => name.includes(story))
      .filter((one) => always === undefined || faultsFor(boundary, one).includes(always));
  const order = diceOf(seed)
    .shuffle(STRUCK_AT)
    .filter((boundary) => scenariosOf(boundary).length > 0);
  return Array.from({ length: runs }, (_, index) => {
    const number = from + index;
    const dice = diceOf(seed * 100_003 + number);
    const mixed = always === undefined && fixed.at === undefined;
    const afterwards = mixed ? number % AFTER_EVERY === 0 : always !== undefined && isLate(always);
    // Those that strike afterwards take no boundary's turn.
    const turn = number - (mixed ? Math.floor(number / AFTER_EVERY) : 0);
    const boundary = afterwards ? null : (fixed.at?.boundary ?? order[turn % order.length] ?? null);
    const scenario = dice.pick(scenariosOf(boundary));
    const fault =
      always ?? dice.pick(faultsFor(boundary, scenario).filter((name) => name !== 'docker-restart'));
    if (boundary === null) return { scenario, fault, at: null, dice };
    const nth = fixed.at?.nth ?? dice.upTo(passesOf(boundary, scenario));
    return { scenario, fault, at: { boundary, nth }, dice };
  });
}

function isLate(fault: FaultName): boolean {
  return FAULTS[fault].action === null;
}

export function openCampaign({ temporal, keep }: CampaignOptions): Campaign {
  let now: Open | null = null;
  let played = 0;
  const passed = new Set<string>();

  async function close(): Promise<void> {
    const ended = now;
    now = null;
    await ended?.stage.stop();
  }

  return {
    passed,
    close,
    async play(plan, number = played + 1) {
      played = number;
      const began = Date.now();
      const outcomes: string[] = [];
      let breaches: string[];
      try {
        now ??= await open(temporal);
        writeFileSync(now.stage.files.run, String(number));
        breaches = await play(now, number, plan, outcomes);
      } catch (error) {
        breaches = [`the run itself: ${error instanceof Error ? error.message : String(error)}`];
      }
      const seconds = Math.round((Date.now() - began) / 1000);
      if (now) for (const boundary of passedOf(now.stage)) passed.add(boundary);
      if (breaches.length > 0) {
        if (keep && now) await keepAway(now.stage, path.join(keep, `run-${number}`));
        // What one breach left would be found again by every later audit.
        await close();
      }
      return { number, plan, outcomes, breaches, seconds };
    },
  };
}

interface Open {
  stage: Stage;
  publisher: Publisher;
  checker: Checker;
}

async function open(temporal: string): Promise<Open> {
  const stage = await startStage(temporal, [...CHAOS_RECIPES, LIVE_RECIPE]);
  const publisher = createPublisher(stage);
  const { system, neighbour, files } = stage;
  const checker = createChecker({
    state: system.state,
    zone: system.zone,
    upstreams: path.join(system.folder, 'upstreams'),
    recipes: CHAOS_RECIPES,
    services: [LIVE_RECIPE],
    neighbour,
    passed: files.passed,
  });
  await publisher.publishFirst(QUIET_RECIPE);
  await sweepThrough(stage, 'opening', [QUIET_RECIPE]);
  return { stage, publisher, checker };
}

async function play(open: Open, number: number, plan: Plan, outcomes: string[]): Promise<string[]> {
  const { stage, publisher, checker } = open;
  const { scenario } = plan;
  const { recipe, test, live } = scenario;
  const breaches: string[] = [];
  await setScene(open, number, scenario);
  const before = versionOf(stage, recipe);
  if (test !== null) checker.hold(recipe);
  const head = test === null ? null : await publisher.propose(scenario);
  const release = head?.version ?? (await publish(open, number, scenario, before));
  const begin = async (id: string): Promise<void> => {
    if (live !== null) return stage.startReconcile(id, [recipe]);
    if (head === null) return stage.startSweep(id, [recipe]);
    return stage.startTest(id, { recipe, ref: head.commit, quick: test === 'quick' });
  };

  const forgotten = await strikeAt(open, number, plan, begin, { outcomes, breaches });
  if (head !== null) {
    if (!forgotten) breaches.push(...(await tested(open, number, scenario, begin, outcomes)));
    if (scenario.promoted) await publisher.release(scenario, release);
  }

  // The next sweep: tried again if it must be, and whatever was left is reaped.
  // A release that fails on the canonical's data works without.
  const promoted = scenario.promoted || (forgotten && test === null);
  const done = (): boolean => versionOf(stage, recipe) === (promoted ? release : before);
  if (!isDone(scenario, promoted, outcomes) || !done()) {
    await through(stage, scenario, `chaos-${number}-next`);
    outcomes.push(await outcomeOf(stage, `chaos-${number}-next`, recipe));
  }
  if (!done()) {
    const what = live === null ? 'the canonical of' : 'the service';
    breaches.push(`${what} ${recipe} is ${versionOf(stage, recipe)}, not as it must be after ${release}`);
  }
  // And one more at once, which makes nothing.
  const last = `chaos-${number}-last`;
  const quiet = live === null ? [QUIET_RECIPE] : [];
  if (!scenario.fails || live !== null) quiet.push(recipe);
  const nothing = live === null ? 'SKIP' : 'noop';
  const created = await createdDuring(stage, () => through(stage, scenario, last, quiet));
  for (const thing of created) breaches.push(`I4: a second one made ${thing}`);
  for (const name of quiet) {
    const outcome = await outcomeOf(stage, last, name);
    if (outcome !== nothing) breaches.push(`I4: a second one says ${outcome} of ${name}`);
  }
  breaches.push(...(await checker.audit()));
  return breaches;
}

/** What the maintainers of a recipe have published when it begins; answers the latest. */
async function publish(
  { stage, publisher, checker }: Open,
  number: number,
  scenario: Scenario,
  before: string | null,
): Promise<string> {
  const { recipe, live, fails } = scenario;
  if (live === 'recover' && before !== null) {
    await takeDown(stage, recipe);
    return before;
  }
  const release = await publisher.publishNext(scenario);
  if (live !== null && fails) checker.refuse(recipe, release);
  if (live === 'install')
    await stage.order(`chaos-${number}-approve`, recipe, { order: 'approve', version: release });
  return release;
}

/** After these a service is known to be healthy. */
const HEALTHY = new Set(['noop', 'upgraded', 'rolled-back', 'recovered']);

/** Whether nothing has to be tried again: what is left of a test, any sweep reaps. */
function isDone({ test, live, promoted: wanted }: Scenario, promoted: boolean, outcomes: string[]): boolean {
  if (live !== null) return HEALTHY.has(outcomes.at(-1) ?? '');
  if (test !== null) return !wanted;
  return outcomes.at(-1)?.startsWith(promoted ? 'PASS' : 'GREEN') === true;
}

/** What is begun is struck, what died is started again, and an operator mends it. Answers as mended does. */
async function strikeAt(
  open: Open,
  number: number,
  plan: Plan,
  begin: (id: string) => Promise<void>,
  { outcomes, breaches }: Pick<Verdict, 'outcomes' | 'breaches'>,
): Promise<boolean> {
  const { stage, checker } = open;
  const { scenario, fault, at, dice } = plan;
  const { recipe } = scenario;
  const asker = `chaos-${number}-struck`;
  const target = targetOf(stage, asker, scenario, dice);
  if (at !== null && needsLeftovers(at.boundary)) await leave(target, scenario, at.boundary, begin);
  const late = at === null;
  if (!late) stage.arm({ id: asker, ...at, action: actionOf(fault) });
  if (!late && needsLeftovers(at.boundary)) await stage.startWorker();
  else await begin(asker);
  if (late) await over(target);
  const struck = late ? { id: asker, pid: 0 } : await untilStruck(target);
  stage.disarm();
  if (struck) await FAULTS[fault].strike(target, struck);
  else outcomes.push('not reached');
  await over(target);
  await stage.ensureWorker();
  outcomes.push(await outcomeOf(stage, asker, recipe));
  if (scenario.test !== null) breaches.push(...checker.endOfTest(asker, recipe));
  return struck !== null && (await mended(open, target, number, plan, outcomes));
}

function targetOf(stage: Stage, asker: string, { recipe, test, live }: Scenario, dice: Dice): Target {
  const run = test === null && live === null ? recipeWorkflowId(asker, recipe) : asker;
  return { stage, asker, run, recipe, dice, isOver: () => stage.isOver(asker, [recipe]) };
}

/** The test says what it must say, if it has to be asked once more; and it has changed nothing that is on record. */
async function tested(
  { stage, checker }: Open,
  number: number,
  { recipe, test, fails }: Scenario,
  begin: (id: string) => Promise<void>,
  outcomes: string[],
): Promise<string[]> {
  const wanted = test === 'quick' && fails ? 'FAIL' : 'PASS';
  const breaches: string[] = [];
  if (outcomes.at(-1) !== wanted) {
    const again = `chaos-${number}-again`;
    await begin(again);
    await until(() => stage.isOver(again, [recipe]), SETTLED_MS, ASK_MS);
    const outcome = await outcomeOf(stage, again, recipe);
    outcomes.push(outcome);
    if (outcome !== wanted) breaches.push(`a ${test} test of ${recipe} says ${outcome}, not ${wanted}`);
    breaches.push(...checker.endOfTest(again, recipe));
  }
  return [...breaches, ...checker.letGo(recipe)];
}

/**
 * A sweep, or reconcile, that has to live with what struck, whose report comes all the same; then an operator mends it. Answers
 * whether the canonical was given up for it.
 */
async function mended(
  { stage, checker }: Open,
  target: Target,
  number: number,
  { scenario, fault }: Plan,
  outcomes: string[],
): Promise<boolean> {
  const { mend }: Fault = FAULTS[fault];
  if (mend === undefined) return false;
  const { recipe } = target;
  const unmended = `chaos-${number}-unmended`;
  await through(stage, scenario, unmended);
  outcomes.push(await outcomeOf(stage, unmended, recipe));
  const { forgotten } = await mend(target);
  if (forgotten) checker.forget(recipe);
  return forgotten;
}

/** The recipe has a canonical, or the service runs, or not, as its story begins. */
async function setScene(
  { stage, publisher, checker }: Open,
  number: number,
  scenario: Scenario,
): Promise<void> {
  const { recipe, first, live } = scenario;
  if (recipe === REALM_RECIPE) await ensureKeycloak(stage, publisher, number);
  if (first) {
    await (live === null ? forgetCanonical(stage, recipe) : forgetService(stage, recipe));
    checker.forget(recipe);
  } else if (live !== null && versionOf(stage, recipe) === null) {
    const version = await publisher.publishFirst(recipe);
    await stage.order(`chaos-${number}-scene-approve`, recipe, { order: 'approve', version });
    await through(stage, scenario, `chaos-${number}-scene`);
    if (versionOf(stage, recipe) === null) throw new Error(`no service ${recipe} to begin with`);
  } else if (versionOf(stage, recipe) === null) {
    await publisher.publishFirst(recipe);
    await sweepThrough(stage, `chaos-${number}-scene`, [recipe]);
    if (versionOf(stage, recipe) === null) throw new Error(`no canonical of ${recipe} to begin with`);
  }
}

/** It is there from the first run that needs it, and has realms of somebody else's. */
async function ensureKeycloak(stage: Stage, publisher: Publisher, number: number): Promise<void> {
  if (versionOf(stage, KEYCLOAK) !== null) return;
  const version = await publisher.publishFirst(KEYCLOAK);
  await stage.order(`chaos-${number}-keycloak-approve`, KEYCLOAK, { order: 'approve', version });
  const id = `chaos-${number}-keycloak`;
  await stage.startReconcile(id, [KEYCLOAK]);
  await until(() => stage.isOver(id, []), SETTLED_MS, ASK_MS);
  if (versionOf(stage, KEYCLOAK) === null)
    throw new Error(`no Keycloak: ${await outcomeOf(stage, id, KEYCLOAK)}`);
  const keycloak = keycloakOf(stage.system.zone);
  for (const [realm, user] of Object.entries(STRANGERS)) await keycloak.makeRealm(realm, user);
}

/** A crash that nothing cleaned up after: the worker killed, its sweep, test or reconcile terminated. */
async function leave(
  struck: Target,
  scenario: Scenario,
  boundary: 'reap.after-remove' | 'reap.after-settle',
  begin: (id: string) => Promise<void>,
): Promise<void> {
  const { stage } = struck;
  const promoting = scenario.test === 'quick' ? 'quick-lane.after-data' : 'promote.after-upgrade';
  const inUse: Boundary = scenario.live === null ? promoting : 'reconcile.after-deploy';
  const at: Boundary = boundary === 'reap.after-remove' ? 'cold-install.after-deploy' : inUse;
  const id = `${struck.asker}-left`;
  stage.arm({ id, boundary: at, nth: 1, action: 'kill' });
  await begin(id);
  const left = targetOf(stage, id, scenario, struck.dice);
  if (!(await untilStruck(left))) throw new Error(`${at} was not reached`);
  await stage.worker().ended;
  const { client } = stage.system.temporal;
  for (const one of new Set([left.asker, left.run])) {
    await client.workflow
      .getHandle(one)
      .terminate('chaos')
      .catch(() => undefined);
  }
}

function actionOf(fault: FaultName): Strike['action'] {
  const { action } = FAULTS[fault];
  if (action === null) throw new RangeError(`${fault} comes afterwards`);
  return action;
}

async function untilStruck({ stage, isOver }: Target): Promise<Struck | null> {
  const deadline = Date.now() + SWEEP_MS;
  let askAt = 0;
  while (Date.now() < deadline) {
    const struck = stage.struck();
    if (struck) return struck;
    if (Date.now() >= askAt) {
      if (await isOver()) return stage.struck();
      askAt = Date.now() + ASK_MS;
    }
    await sleep(50);
  }
  throw new Error('it neither came to the boundary nor ended');
}

async function over(target: Target): Promise<void> {
  await until(target.isOver, SETTLED_MS, ASK_MS);
}

async function sweepThrough(stage: Stage, id: string, recipes: readonly string[]): Promise<void> {
  await stage.startSweep(id, recipes);
  await until(() => stage.isOver(id, recipes), SETTLED_MS, ASK_MS);
  const names = readJson<{ recipes: { recipe: string }[] }>(path.join(sweepFolder(stage, id), 'report.json'));
  const reported = names?.recipes.map(({ recipe }) => recipe).sort();
  if (reported?.join() !== [...recipes].sort().join()) {
    throw new Error(`I10: the report of ${id} names ${reported?.join() ?? 'nothing, it is missing'}`);
  }
}

/** A sweep of the recipe, or of those recipes; a reconcile where it is a live service. */
async function through(
  stage: Stage,
  { recipe, live }: Scenario,
  id: string,
  recipes: readonly string[] = [recipe],
): Promise<void> {
  if (live === null) return sweepThrough(stage, id, recipes);
  await stage.startReconcile(id, recipes);
  await until(() => stage.isOver(id, []), SETTLED_MS, ASK_MS);
  const told = eventsOf(stage, recipe).filter(({ run }) => run === id);
  if (told.length !== 1) throw new Error(`I10: ${id} says ${told.length} outcomes of ${recipe}`);
}

/** What reconciles said of a live service. */
function eventsOf({ system }: Stage, service: string): { run: string; outcome: string }[] {
  const file = path.join(system.state, 'services', service, 'history.jsonl');
  if (!existsSync(file)) return [];
  const lines = readFileSync(file, 'utf8').split('\n');
  return lines.flatMap((line) => (line === '' ? [] : [JSON.parse(line) as { run: string; outcome: string }]));
}

function sweepFolder({ system }: Stage, id: string): string {
  return path.join(system.state, 'sweeps', id);
}

/** As recorded on disk; what Temporal says where nothing is. */
async function outcomeOf(stage: Stage, sweep: string, recipe: string): Promise<string> {
  const file = path.join(stage.system.state, 'runs', sweep, recipe, 'result.json');
  const result = readJson<{ outcome: { kind: string; cause?: string } }>(file);
  if (result) return [result.outcome.kind, result.outcome.cause].filter(Boolean).join(' ');
  const told = eventsOf(stage, recipe).findLast(({ run }) => run === sweep);
  if (told) return told.outcome;
  return `no outcome (sweep ${(await stage.statusOf(sweep)) ?? 'unknown'})`;
}

function versionOf({ system }: Stage, recipe: string): string | null {
  const file =
    recipe === LIVE_RECIPE || recipe === KEYCLOAK
      ? path.join(system.state, 'services', recipe, 'last-good.json')
      : path.join(system.state, 'canonicals', recipe, 'canonical.json');
  return readJson<{ version: string }>(file)?.version ?? null;
}

/** What of our zone the engine says was made meanwhile. */
async function createdDuring({ system }: Stage, body: () => Promise<void>): Promise<string[]> {
  const since = String(Date.now() / 1000);
  await body();
  const { stdout } = await execa('docker', [
    ...['events', '--since', since, '--until', String(Date.now() / 1000), '--filter', 'event=create'],
    ...['--format', '{{.Type}} {{.Actor.ID}} {{index .Actor.Attributes "name"}}'],
  ]);
  const zone = system.zone.replaceAll('.', '_');
  return stdout.split('\n').filter((line) => line.includes(zone));
}

function passedOf({ files }: Stage): string[] {
  return readFileSync(files.passed, 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => (JSON.parse(line) as { boundary: string }).boundary);
}

async function keepAway({ system }: Stage, folder: string): Promise<void> {
  await execa('mkdir', ['--parents', folder]);
  await execa('bash', ['-c', 'cp --archive -- "$0"/{state,chaos,*.log} "$1"', system.folder, folder], {
    reject: false,
  });
}

/** One line for people. */
export function verdictLine({ number, plan, outcomes, breaches, seconds }: Verdict): string {
  const { scenario, fault, at } = plan;
  const place = at ? `${at.boundary}#${at.nth}` : 'afterwards';
  const story = `${scenario.name} → ${outcomes.join(', then ')}`;
  const verdict = breaches.length === 0 ? 'ok' : `BREACH ${breaches.join(' | ')}`;
  return `${String(number).padStart(3)}  ${place.padEnd(30)} ${fault.padEnd(14)} ${story.padEnd(60)} ${verdict}  (${seconds} s)`;
}
