import { linesByHand } from './release-notes.ts';
import type { Release } from './release.ts';
import { compareVersions, majorStep } from './version.ts';

/**
 * A shared live service (`live: true` in its recipe's folder): what its reconcile does about it, decided from what was
 * observed alone. Spec §7.
 */

/** What a reconcile says of one service; exactly one per service. The value of the search attribute ServiceOutcome. */
export const SERVICE_OUTCOMES = [
  /** Healthy, at its latest release, or at the one that it is to stay at; nothing was touched. */
  'noop',
  /** It was down, and is up again at its last-good release. */
  'recovered',
  'upgraded',
  /** The newer release was unhealthy: the last-good one runs again, on the data from before. */
  'rolled-back',
  /** Nor could it be rolled back: nothing is reconciled until an operator has seen to it. */
  'rollback-failed',
  /** The latest release waits for an operator's approval. */
  'held-major',
  'held-manual-migration',
  /** An operator said that it is left alone. */
  'held',
  /** Nothing of it is there. */
  'not-deployed',
  /** What runs there was deployed by somebody else, and not adopted since. */
  'not-adopted',
  /** Nothing was learned, or nothing could be done. */
  'error',
] as const;
export type ServiceOutcome = (typeof SERVICE_OUTCOMES)[number];

/**
 * The live services among the recipes that have a folder, by name, and those without data first: a proxy among them is
 * what the others are asked through. One whose folder has a mistake is a service still where it was looked after before
 * (`known`): its own reconcile says so.
 */
export function servicesAmong(
  recipes: readonly { recipe: string; live: boolean; stateful: boolean | null; problem: string | null }[],
  known: readonly string[],
): string[] {
  const services = recipes.filter(
    ({ recipe, live, problem }) => live || (problem !== null && known.includes(recipe)),
  );
  const withoutData = services.filter(({ stateful }) => stateful === false);
  return [...withoutData, ...services.filter((one) => !withoutData.includes(one))].map(
    ({ recipe }) => recipe,
  );
}

/** What is there at a service's domain. */
export type ServiceSeen =
  | { is: 'nothing' }
  /** It serves, or does not; `version` as its labels say, null where they do not. */
  | { is: 'up' | 'down'; version: string | null };

export interface ServiceFacts {
  seen: ServiceSeen;
  /** The release that was healthy last; null where it was neither deployed by a reconcile nor adopted. */
  lastGood: Release | null;
  /** Oldest first. */
  releases: readonly Release[];
  /** `release/<version>` of those that have one, by version. */
  notes: ReadonlyMap<string, string>;
  /** The version that an operator approved last. */
  approved: string | null;
  /** The version that was rolled back last. */
  rolledBack: string | null;
  /** Why an operator holds it; null when nobody does. */
  hold: string | null;
  /** Why nothing is reconciled since a rollback failed; null when none did. */
  stopped: string | null;
}

export type ServiceDecision =
  | { decision: 'noop'; reason: string }
  | { decision: 'recover'; to: Release; reason: string }
  | { decision: 'upgrade'; to: Release; reason: string }
  /** Nothing of it is there, and this release was approved. */
  | { decision: 'install'; to: Release; reason: string }
  /** `notes`: what those of every release that is passed over say, whole; null where there are none. */
  | {
      decision: 'hold-major' | 'hold-manual-migration';
      release: Release;
      reason: string;
      notes: string | null;
    }
  | {
      decision: 'leave';
      because: 'held' | 'not-deployed' | 'not-adopted' | 'rollback-failed';
      reason: string;
    };

/** What the notes of a release that is passed over, or come to, say. */
interface PassedNotes {
  version: string;
  text: string;
  /** The lines that speak of work by hand. */
  byHand: string[];
}

/** What to do about a service. What is down is first brought up as it was; only then anything newer is thought of. */
export function decideOnService(facts: ServiceFacts): ServiceDecision {
  const { seen, lastGood, releases, approved, rolledBack, hold, stopped } = facts;
  const latest = releases.at(-1) ?? null;
  if (stopped !== null) return { decision: 'leave', because: 'rollback-failed', reason: stopped };
  if (hold !== null) return { decision: 'leave', because: 'held', reason: hold };
  if (lastGood === null) return withoutLastGood(seen, latest, approved);
  if (seen.is === 'nothing') {
    return { decision: 'recover', to: lastGood, reason: `nothing of ${lastGood.version} runs` };
  }
  if (seen.version !== lastGood.version) {
    const reason = `${seen.version ?? 'what no label names'} runs there, and ${lastGood.version} is what was healthy last: somebody deployed it since`;
    return { decision: 'leave', because: 'not-adopted', reason };
  }
  if (seen.is === 'down') {
    return { decision: 'recover', to: lastGood, reason: `${lastGood.version} does not serve` };
  }
  if (latest === null || compareVersions(latest.version, lastGood.version) <= 0) {
    return { decision: 'noop', reason: `healthy at ${lastGood.version}, the latest release` };
  }
  const step = `${lastGood.version} → ${latest.version}`;
  if (approved === latest.version) return { decision: 'upgrade', to: latest, reason: `${step}, approved` };
  if (rolledBack === latest.version) {
    const reason = `healthy at ${lastGood.version}; ${latest.version} was rolled back, and is not tried again unless it is approved`;
    return { decision: 'noop', reason };
  }
  const passed = passedNotes(facts);
  const notes =
    passed.length === 0
      ? null
      : passed.map(({ version, text }) => `release/${version}:\n${text}`).join('\n\n');
  const major = majorStep(lastGood.version, latest.version);
  if (major !== null) {
    return { decision: 'hold-major', release: latest, reason: `${step}: ${major}`, notes };
  }
  const said = passed.flatMap(({ version, byHand: [line] }) =>
    line === undefined ? [] : [`release/${version}: ${line}`],
  );
  if (said.length > 0) {
    const reason = `${step}: ${said.join('; ')}`;
    return { decision: 'hold-manual-migration', release: latest, reason, notes };
  }
  return { decision: 'upgrade', to: latest, reason: step };
}

/** What is not looked after is not touched, but for the very release that an operator approved. */
function withoutLastGood(
  seen: ServiceSeen,
  latest: Release | null,
  approved: string | null,
): ServiceDecision {
  if (seen.is !== 'nothing') {
    const reason = `${seen.version ?? 'something'} runs there, deployed by somebody else`;
    return { decision: 'leave', because: 'not-adopted', reason };
  }
  if (latest === null) {
    return {
      decision: 'leave',
      because: 'not-deployed',
      reason: 'nothing runs there, and it has no release',
    };
  }
  if (approved === latest.version) {
    return { decision: 'install', to: latest, reason: `${latest.version}, approved` };
  }
  const reason = `nothing runs there; the latest release is ${latest.version}`;
  return { decision: 'leave', because: 'not-deployed', reason };
}

/** Of every release after the last-good one up to the latest, oldest first, as far as they have any. */
function passedNotes({
  lastGood,
  releases,
  notes,
}: Pick<ServiceFacts, 'lastGood' | 'releases' | 'notes'>): PassedNotes[] {
  return releases.flatMap(({ version }): PassedNotes[] => {
    const text = notes.get(version);
    if (text === undefined || lastGood === null || compareVersions(version, lastGood.version) <= 0) return [];
    return [{ version, text, byHand: linesByHand(text) }];
  });
}

/** What an operator says of a live service by hand. */
export type ServiceOrder =
  | { order: 'adopt' }
  /** Lets this very version through, whatever would hold it. */
  | { order: 'approve'; version: string }
  | { order: 'hold'; reason: string }
  /** Ends a hold, and a stop after a rollback that failed. */
  | { order: 'resume' };
