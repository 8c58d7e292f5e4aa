import { stackName } from '../../domain/names.ts';
import type { EngineEvent } from './engine-events.ts';
import type { Figure } from './figure.ts';
import type { Span, Timeline } from './history.ts';

/**
 * How soon a step ends once the engine has nothing more to do, in milliseconds: from an event of the engine, by
 * its clock, to the step's end, by the Temporal server's.
 */
export interface Reactions {
  /** From the last container reported healthy to the end of a cold install or upgrade, less the window. */
  healthy: number[];
  /** From the last container gone to the end of teardown. */
  containersGone: number[];
  /** From its last network gone, which takes the engine a while after its removal. */
  networksGone: number[];
}

/** Reads them off the histories of recipe runs and what the engine said meanwhile. */
export function reactions(
  runs: readonly Timeline[],
  events: readonly EngineEvent[],
  zone: string,
  stableMs: number,
): Reactions {
  const ours = events.filter(({ name }) => name.includes(`_${stackName(zone)}_`));
  const steps = (...names: string[]): Span[] =>
    runs.flatMap(({ activities }) => activities.filter(({ name }) => names.includes(name)));
  const since = ({ started, ended }: Span, type: EngineEvent['type'], action: string): number[] => {
    const within = ours.filter(
      (event) => event.type === type && event.action === action && event.at >= started && event.at <= ended,
    );
    const last = Math.max(...within.map(({ at }) => at));
    return within.length === 0 ? [] : [ended - last];
  };
  return {
    healthy: steps('coldInstall', 'coldUpgrade').flatMap((step) =>
      since(step, 'container', 'health_status: healthy').map((ms) => ms - stableMs),
    ),
    containersGone: steps('teardown').flatMap((step) => since(step, 'container', 'destroy')),
    networksGone: steps('teardown').flatMap((step) => since(step, 'network', 'destroy')),
  };
}

export function reactionFigures(seen: readonly Reactions[]): Figure[] {
  const figure = (name: string, samples: number[]): Figure => ({
    name,
    unit: 'ms',
    aim: { atMost: 200 },
    samples,
    notes: [],
  });
  const networksGone = seen.flatMap((one) => one.networksGone);
  return [
    figure(
      "from healthy to the step's end, beyond the window",
      seen.flatMap(({ healthy }) => healthy),
    ),
    figure(
      "from the last container gone to teardown's end",
      seen.flatMap(({ containersGone }) => containersGone),
    ),
    // Not every recipe has a network of its own.
    ...(networksGone.length === 0
      ? []
      : [figure("from the last network gone to teardown's end", networksGone)]),
  ];
}
