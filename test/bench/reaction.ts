import { stackName } from '../../domain/names.ts';
import type { ContainerEvent } from './container-events.ts';
import type { Figure } from './figure.ts';
import type { Span, Timeline } from './history.ts';

/**
 * How soon a step ends once the engine has nothing more to do, in milliseconds: from a container's event, by
 * the engine's clock, to the step's end, by the Temporal server's.
 */
export interface Reactions {
  /** From the last container reported healthy to the end of a cold install or upgrade, less the window. */
  healthy: number[];
  /** From the last container gone to the end of teardown. */
  gone: number[];
}

/** Reads them off the histories of recipe runs and what the engine said meanwhile. */
export function reactions(
  runs: readonly Timeline[],
  events: readonly ContainerEvent[],
  zone: string,
  stableMs: number,
): Reactions {
  const ours = events.filter(({ stack }) => stack.endsWith(`_${stackName(zone)}`));
  const steps = (...names: string[]): Span[] =>
    runs.flatMap(({ activities }) => activities.filter(({ name }) => names.includes(name)));
  const since = ({ started, ended }: Span, action: string): number[] => {
    const within = ours.filter(
      (event) => event.action === action && event.at >= started && event.at <= ended,
    );
    const last = Math.max(...within.map(({ at }) => at));
    return within.length === 0 ? [] : [ended - last];
  };
  return {
    healthy: steps('coldInstall', 'coldUpgrade').flatMap((step) =>
      since(step, 'health_status: healthy').map((ms) => ms - stableMs),
    ),
    gone: steps('teardown').flatMap((step) => since(step, 'destroy')),
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
  return [
    figure(
      "from healthy to the step's end, beyond the window",
      seen.flatMap(({ healthy }) => healthy),
    ),
    figure(
      "from the last container gone to teardown's end",
      seen.flatMap(({ gone }) => gone),
    ),
  ];
}
