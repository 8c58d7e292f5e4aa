import { ApplicationFailure, CancelledFailure, Context } from '@temporalio/activity';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Holder } from '../../host/lock/host-lock.ts';
import type { TierStep } from '../../activities/app.ts';
import type { Activities } from '../../activities/index.ts';
import type { Left } from '../../activities/reap.ts';
import type { RunEnd } from '../../activities/record.ts';
import type { DeployAnswer, TierAnswer } from '../../activities/tier.ts';
import type { TestWord } from '../../domain/answer.ts';
import { FAULTS, type FaultType } from '../../domain/fault.ts';
import type { LintProblem } from '../../domain/level.ts';
import { outcomeReason, outcomeTitle, type Outcome } from '../../domain/outcome.ts';
import { givenResult, sweepVerdict, type RecipeResult } from '../../domain/report.ts';
import { runName } from '../../domain/run.ts';
import { timeSpent } from '../../domain/time-spent.ts';
import type { Step, SweepResult } from '../../workflows/protocol.ts';

/** A recipe as the fake host knows it: a situation, from which every step's answer follows. */
export interface FakeRecipe {
  releases?: string[];
  canonical?: string | null;
  hold?: string;
  /** What its mirror-sync has to say besides. */
  notes?: string[];
  /** Steps that answer red, with the reason. */
  red?: Partial<Record<Step, string>>;
  /** What steps that pass have to say. */
  says?: Partial<Record<Step, string>>;
  /** Tiers that do not apply to it, with the reason. */
  skips?: Partial<Record<Step, string>>;
  /** Recipes that must run beside it. */
  deps?: string[];
  /** A tool that it needs and the host lacks. */
  lack?: string;
  /** What lint finds in its release. */
  lint?: LintProblem[];
  /** Steps that throw a fault, as often as said (always, when not). */
  faults?: Partial<Record<string, { type: FaultType; times?: number }>>;
  /** A step that waits until it is cancelled. */
  hangs?: string;
  /** A step that takes a while and cannot be cancelled. */
  slow?: string;
  /** Promote fails when it has written the record. */
  diesAfterRecord?: boolean;
  /** Promote answers that it did, but no record says so. */
  forgetsRecord?: boolean;
  /** What is tested by its own label; null where it says none that can be read. */
  head?: string | null;
  /** What main's tip says. */
  main?: string;
  /** What is tested is on main. */
  isOnMain?: boolean;
  /** The mirror has the commit no longer. */
  gone?: boolean;
  /** The commits of its pull requests' heads, by number. */
  pullRequests?: Record<number, string>;
  /** An operator dropped the canonical's data then. */
  dataDropped?: string;
}

/** A live service as the fake host knows it. */
export interface FakeService extends Pick<FakeRecipe, 'faults' | 'hangs' | 'slow'> {
  at: string;
  /** Newer releases, oldest first: one that is not good is rolled back, and one that is a major step held. */
  newer?: { version: string; unhealthy?: string; held?: string }[];
  approved?: string;
  /** Nothing of it can be put back. */
  lost?: boolean;
  /** It does not serve, until it is deployed again. */
  down?: boolean;
}

export interface FakeHost {
  activities: Omit<Activities, 'askForTurn' | 'endedWorkflows'>;
  recipes: Record<string, FakeRecipe>;
  services: Record<string, FakeService>;
  /** Every step that was asked for, in order: `<recipe> <step>`. */
  calls: string[];
  results: Map<string, RecipeResult>;
  canonicals: Map<string, string>;
  /** By recipe, the run that wrote its record. */
  promotions: Map<string, string>;
  /** What operators accepted. */
  accepted: Parameters<Activities['acceptTag']>[0][];
  /** Steps of the sweep itself that throw a fault, as often as said (always, when not). */
  faults: Partial<Record<string, { type: FaultType; times?: number }>>;
  /** What the reaper answers that it could not remove. */
  left: Left[];
  /** What closeSweep says beside the outcomes. */
  told: Pick<SweepResult, 'standings' | 'site'>;
  /** The fingerprint of what decides its verdicts. */
  environment: () => Promise<string>;
  /** What a plan of all recipes names besides. */
  leftOut: Awaited<ReturnType<Activities['leftOut']>>;
  opening: Parameters<Activities['openSweep']>[0] | null;
  /** What the last closeSweep was told. */
  closing: Parameters<Activities['closeSweep']>[0] | null;
  /** Resolves when the named call was made. */
  reached(call: string): Promise<void>;
  /** Who holds the host besides the sweep under test. */
  busyWith: string | null;
  /** Workflows that were ended by somebody, whose lock is void. */
  ended: Set<string>;
  attempts: number;
  sweepMs: number;
  /** What tests said, in order, of each when. */
  said: { at: number; word: TestWord; request: number }[];
  /** So many times the forge is away when something is said. */
  forgeAway: number;
  /** What is pulled ahead, and how that goes; which is none of the steps in `calls`. */
  ahead: {
    does: 'pulls' | 'fails' | 'hangs';
    /** Beside whose run, and for whom. */
    asked: { beside: string; next: readonly string[] }[];
    /** Beside whose run it was given up. */
    givenUp: string[];
  };
}

const commitOf = (version: string): string =>
  Buffer.from(version).toString('hex').padEnd(40, '0').slice(0, 40);

export function fakeHost(recipes: Record<string, FakeRecipe>): FakeHost {
  /** As the host's own: whoever has it is in the way of all others, but no longer than its workflow is open. */
  let lock: Holder | null = null;
  const waiters: { call: string; resolve: () => void }[] = [];
  const failures = new Map<string, number>();
  const host: FakeHost = {
    recipes,
    services: {},
    calls: [],
    results: new Map(),
    canonicals: new Map(),
    accepted: [],
    promotions: new Map(),
    faults: {},
    left: [],
    told: {},
    environment: async () => 'e0e1e2e3e4e5',
    leftOut: [],
    opening: null,
    closing: null,
    busyWith: null,
    ended: new Set(),
    attempts: 2,
    sweepMs: 60 * 60 * 1000,
    said: [],
    forgeAway: 0,
    ahead: { does: 'pulls', asked: [], givenUp: [] },
    async reached(call) {
      if (host.calls.includes(call)) return;
      await new Promise<void>((resolve) => waiters.push({ call, resolve }));
    },
    activities: {
      async enrolled({ wanted }) {
        const unknown = (wanted ?? []).filter((name) => !recipes[name]);
        if (unknown.length > 0) throw fault('BadInput', `not enrolled: ${unknown.join()}`);
        return wanted ?? Object.keys(recipes);
      },
      async leftOut() {
        await call('sweep', 'left out');
        return host.leftOut;
      },
      async openSweep(input) {
        const { recipes: names, holder } = input;
        host.opening = input;
        await call('sweep', 'open');
        claim(holder);
        if (host.busyWith) throw fault('HostBusy', `this host is held by ${host.busyWith}`);
        const { attempts, sweepMs } = host;
        const settings = { attempts, sweepMs, tierMs: 60_000, promoteMs: 60_000 };
        const left = host.left.flatMap(({ recipe, what }) => (recipe === null ? [] : [[recipe, what]]));
        return {
          recipes: names,
          settings,
          left: Object.fromEntries(left),
          problems: host.left.map(({ what }) => what),
        };
      },
      async closeSweep(input) {
        const { recipes: names, holder, problems } = input;
        host.closing = input;
        await call('sweep', 'close');
        claim(holder);
        lock = null;
        const found = names.flatMap((name) => host.results.get(`${holder.workflowId}/${name}`) ?? []);
        return {
          verdict: sweepVerdict(found.map(({ outcome }) => outcome)),
          report: '/report.json',
          problems,
          environment: await host.environment(),
          ...host.told,
          recipes: found.map(({ recipe, outcome }) => ({
            recipe,
            outcome: outcomeTitle(outcome),
            why: outcomeReason(outcome),
          })),
        };
      },
      async mirrorSync({ recipe }) {
        await call(recipe, 'mirror-sync');
        const { releases = [], notes = [] } = recipes[recipe] ?? {};
        const published = releases.map((tag) => ({ version: tag, commit: commitOf(tag) }));
        return { main: commitOf('main'), releases: published, notes };
      },
      async resolve({ recipe }) {
        await call(recipe, 'resolve');
        const { canonical, hold, lack } = recipes[recipe] ?? {};
        const version = host.canonicals.get(recipe) ?? canonical ?? null;
        return {
          canonical: version ? { version, commit: commitOf(version) } : null,
          dataDropped: recipes[recipe]?.dataDropped ?? null,
          hold: hold ?? null,
          disk: null,
          deps: recipes[recipe]?.deps ?? [],
          ...(lack === undefined ? {} : { lack }),
        };
      },
      async provide({ run, recipe }) {
        await call(run.recipe, `dependency ${recipe}`);
        const domain = `${recipe}.test`;
        return { recipe, version: '1.0.0+1', domain, stack: `${recipe}_test`, url: `http://${domain}` };
      },
      coldInstall: deployTier,
      coldUpgrade: deployTier,
      coldBackup: tier,
      coldRestore: tier,
      coldCustom: tier,
      async lint({ run, step }) {
        await call(run.recipe, step);
        return { problems: recipes[run.recipe]?.lint ?? [] };
      },
      quickReattach: deployTier,
      quickUpgrade: deployTier,
      quickCustom: tier,
      async quickLint({ run, step }) {
        await call(run.recipe, step);
        return { problems: recipes[run.recipe]?.lint ?? [] };
      },
      async quickUndeploy({ run }) {
        await call(run.recipe, 'quick-lane: undeploy');
      },
      async prefetch({ run, next }) {
        const { ahead } = host;
        ahead.asked.push({ beside: run.recipe, next });
        if (ahead.does === 'fails') throw fault('Daemon', 'the engine is away');
        if (ahead.does === 'hangs') {
          await untilCancelled().finally(() => ahead.givenUp.push(run.recipe));
        }
        return { recipe: next[0] ?? null, images: [], problems: [] };
      },
      async promote({ run, release }) {
        await call(run.recipe, 'promote');
        const why = recipes[run.recipe]?.red?.promote;
        if (why) return { promoted: false, why, evidence: '/evidence' };
        if (!recipes[run.recipe]?.forgetsRecord) {
          host.canonicals.set(run.recipe, release.version);
          host.promotions.set(run.recipe, run.workflow.runId);
        }
        if (recipes[run.recipe]?.diesAfterRecord) throw fault('Daemon', 'the engine died');
        return { promoted: true };
      },
      async teardown({ run, dependencies }) {
        await call(run.recipe, ['teardown', ...(dependencies ?? [])].join(' '));
      },
      async settle({ run }) {
        await call(run.recipe, 'settle');
        const version = host.canonicals.get(run.recipe) ?? recipes[run.recipe]?.canonical ?? null;
        return version ? { version } : null;
      },
      async record({ startedMs, endedMs, waited = null, asked, ...end }) {
        await call(end.recipe, 'record');
        const rest = { ...end, outcome: asRecorded({ ...end, asked }) };
        const [started, ended] = [new Date(startedMs).toISOString(), new Date(endedMs).toISOString()];
        host.results.set(runName({ asked, recipe: end.recipe }), {
          schema: 4,
          ...rest,
          asked: { by: asked.by, id: asked.id },
          spentMs: timeSpent(waited ? [{ on: 'turn', ...waited }] : [], { startedMs, endedMs }),
          started,
          ended,
        });
        return rest.outcome;
      },
      async recordFor({ sweep, recipes: names, outcome, atMs }) {
        await call('sweep', 'recordFor');
        return names.map((recipe) => {
          const existing = host.results.get(`${sweep.id}/${recipe}`);
          const at = new Date(atMs).toISOString();
          if (!existing) {
            const result = givenResult(sweep.id, recipe, outcome, { started: at, ended: at });
            host.results.set(`${sweep.id}/${recipe}`, result);
          }
          return {
            outcome: existing?.outcome ?? outcome,
            given: !existing,
            leftovers: existing?.leftovers ?? null,
          };
        });
      },
      async reap() {
        await call('sweep', 'reap');
        if (host.busyWith) throw fault('HostBusy', `this host is held by ${host.busyWith}`);
        return host.left;
      },
      async canonicalToChange({ holder }) {
        claim(holder);
        return { domain: null };
      },
      async forgetCanonical({ recipe, holder }) {
        claim(holder);
        await call(recipe, 'forget');
        return `${recipe} has no canonical any more`;
      },
      async rebuildCanonical({ recipe }) {
        return `the canonical of ${recipe} is as its history says`;
      },
      async dropData({ recipe, holder }) {
        claim(holder);
        await call(recipe, 'drop data');
        return `${recipe} has no data any more`;
      },
      async acceptTag(asked) {
        host.accepted.push(asked);
        return `tag ${asked.tag} of ${asked.recipe} is accepted`;
      },
      async pullRequestHead({ recipe, pullRequest }) {
        await call(recipe, 'pull request');
        const commit = recipes[recipe]?.pullRequests?.[pullRequest];
        if (commit === undefined) throw fault('BadInput', `${recipe} has no pull request ${pullRequest}`);
        return { commit };
      },
      async openTest({ recipe, holder }) {
        await call(recipe, 'open test');
        claim(holder);
        if (host.busyWith) throw fault('HostBusy', `this host is held by ${host.busyWith}`);
        const { attempts, sweepMs } = host;
        const left = host.left.find((one) => one.recipe === recipe)?.what ?? null;
        return { settings: { attempts, sweepMs, tierMs: 60_000, promoteMs: 60_000 }, left };
      },
      async bringHead({ run, commit, main }) {
        await call(run.recipe, 'head');
        const { head = '9.0.0+9', main: version = null, isOnMain, gone } = recipes[run.recipe] ?? {};
        if (gone) throw fault('BadInput', `the mirror has no commit ${commit}`);
        const containsHead = isOnMain ?? commit === main;
        const at = { main: { commit: main, version: containsHead ? null : version, containsHead } };
        return head === null
          ? { version: null, reason: 'no label', evidence: '/version.txt', ...at }
          : { version: head, ...at };
      },
      async answer({ word, request, said }) {
        await call(word.recipe, 'answer');
        if (host.forgeAway > 0) {
          host.forgeAway -= 1;
          throw fault('Forge', 'the forge does not answer');
        }
        host.said.push({ at: Date.now(), word, request });
        return { comment: said.comment ?? 1000 + request };
      },
      async openReconcile({ services: names, holder }) {
        await call('reconcile', 'open');
        claim(holder);
        const unknown = (names ?? []).filter((name) => !host.services[name]);
        if (unknown.length > 0) throw fault('BadInput', `no live service: ${unknown.join()}`);
        const { attempts, sweepMs } = host;
        const settings = { attempts, sweepMs, tierMs: 60_000, promoteMs: 60_000 };
        return { services: names ?? Object.keys(host.services), settings };
      },
      async observeService({ service }) {
        await call(service, 'observe');
        const { at, newer = [], approved, down } = serviceOf(service);
        if (down) {
          const to = { version: at, commit: commitOf(at) };
          return {
            decision: { decision: 'recover', to, reason: `${at} does not serve` },
            lastGood: to,
            undone: null,
          };
        }
        const lastGood = { version: at, commit: commitOf(at) };
        const latest = newer.at(-1);
        if (latest === undefined || latest.version === at) {
          const reason = `healthy at ${at}, the latest release`;
          return { decision: { decision: 'noop', reason }, lastGood, undone: null };
        }
        const release = { version: latest.version, commit: commitOf(latest.version) };
        const reason = `${at} → ${latest.version}`;
        if (latest.held !== undefined && approved !== latest.version) {
          const notes = `release/${latest.version}:\n${latest.held}`;
          return { decision: { decision: 'hold-major', release, reason, notes }, lastGood, undone: null };
        }
        return { decision: { decision: 'upgrade', to: release, reason }, lastGood, undone: null };
      },
      async recoverService({ service }) {
        await call(service, 'recover');
        serviceOf(service).down = false;
        return { healthy: true };
      },
      async upgradeService({ run: { service }, to }) {
        await call(service, `upgrade to ${to.version}`);
        const known = serviceOf(service);
        const why = known.newer?.find(({ version }) => version === to.version)?.unhealthy;
        if (why !== undefined) return { healthy: false, begun: true, why, evidence: '/evidence' };
        known.at = to.version;
        return { healthy: true };
      },
      async rollBackService({ service }) {
        await call(service, 'roll back');
        const { at, newer = [], lost } = serviceOf(service);
        const latest = newer.at(-1);
        if (latest === undefined || latest.version === at) return null;
        const [from, to] = [latest.version, at].map((version) => ({ version, commit: commitOf(version) }));
        if (from === undefined || to === undefined) return null;
        const why = latest.unhealthy ?? null;
        return lost
          ? { back: false, from, to, why: 'no disk', evidence: '/evidence' }
          : { back: true, from, to, why, evidence: '/evidence' };
      },
      async tellService({ run: { service }, outcome }) {
        await call(service, `tell ${outcome}`);
        return serviceOf(service).at;
      },
      async orderService({ run: { service }, order }) {
        await call(service, order.order);
        if (order.order === 'approve') serviceOf(service).approved = order.version;
        return `${order.order} ${service}`;
      },
      async giveBackHost({ holder }) {
        await call('sweep', 'give back');
        if (lock?.workflowId === holder.workflowId) lock = null;
      },
      async lockHolder() {
        if (lock === null) return null;
        const { workflowId: id, runId, what } = lock;
        return {
          workflow: { id, runId },
          asker: what === 'sweep' || what === 'test' ? what : 'hand',
          what,
          number: 0,
          sinceMs: 0,
        };
      },
    },
  };

  function serviceOf(name: string): FakeService {
    const service = host.services[name];
    if (service === undefined) throw fault('BadInput', `no live service: ${name}`);
    return service;
  }

  function claim(holder: Holder): void {
    if (lock !== null && lock.workflowId !== holder.workflowId && !host.ended.has(lock.workflowId)) {
      throw fault('HostBusy', `this host is held by ${lock.what} ${lock.workflowId}`);
    }
    lock = holder;
  }

  async function call(recipe: string, step: string): Promise<void> {
    const name = `${recipe} ${step}`;
    host.calls.push(name);
    for (const waiter of waiters) if (waiter.call === name) waiter.resolve();
    const known = recipes[recipe] ?? host.services[recipe];
    const planned = recipe === 'sweep' ? host.faults[step] : known?.faults?.[step];
    const failed = failures.get(name) ?? 0;
    if (planned && failed < (planned.times ?? Infinity)) {
      failures.set(name, failed + 1);
      throw fault(planned.type, `${step} is broken`);
    }
    if (known?.hangs === step) await untilCancelled();
    if (known?.slow === step) await sleep(300);
  }

  /** As the step does it: what the record says is what became of a promotion. */
  function asRecorded({
    recipe,
    asked,
    outcome,
    workflow,
  }: Pick<RunEnd, 'recipe' | 'asked' | 'outcome' | 'workflow'>): Outcome {
    const version = host.canonicals.get(recipe);
    if (version === undefined || asked.by === 'test' || outcome.kind === 'FAIL') return outcome;
    const own = host.promotions.get(recipe) === workflow.runId;
    const pass: Outcome = { kind: 'PASS', promoted: version };
    if (outcome.kind !== 'GREEN-BUT-PROMOTE-FAILED') return own ? pass : outcome;
    return outcome.version === version ? pass : { ...outcome, canonical: version };
  }

  async function deployTier({ run, step }: TierStep): Promise<DeployAnswer> {
    claim({ workflowId: run.asked.id, runId: run.asked.runId, what: run.asked.by });
    await call(run.recipe, step);
    const reason = recipes[run.recipe]?.red?.[step as Step];
    return reason
      ? { result: 'fail', reason, evidence: '/evidence' }
      : { result: 'pass', images: {}, ...noteOf(run, step) };
  }

  function noteOf({ recipe }: TierStep['run'], step: string): { note?: string } {
    const note = recipes[recipe]?.says?.[step as Step];
    return note === undefined ? {} : { note };
  }

  async function tier({ run, step }: TierStep): Promise<TierAnswer> {
    await call(run.recipe, step);
    const { red, skips } = recipes[run.recipe] ?? {};
    const [why, skipped] = [red?.[step as Step], skips?.[step as Step]];
    if (why) return { result: 'fail', reason: why, evidence: '/evidence' };
    return skipped ? { result: 'skipped', reason: skipped } : { result: 'pass', ...noteOf(run, step) };
  }

  return host;
}

async function untilCancelled(): Promise<never> {
  const context = Context.current();
  const beat = setInterval(() => context.heartbeat(), 100);
  try {
    await context.cancelled;
  } finally {
    clearInterval(beat);
  }
  throw new CancelledFailure('cancelled');
}

function fault(type: FaultType, message: string): ApplicationFailure {
  return ApplicationFailure.create({ type, message, nonRetryable: !FAULTS[type].retryable });
}
