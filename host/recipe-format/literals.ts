import { isMapping, type ComposeSource } from './compose.ts';
import { CAST_NAMES, castAt } from './variables.ts';
import { RecipeProblem, type Key, type Place } from './problem.ts';

/**
 * A variable where abra wants a value written out. abra loads the compose files twice: with the variables replaced,
 * and as they are written, to know the secrets by the variables in their names. docker's loader checks both against
 * the schema (docker/cli cli/compose/schema/data/config_schema_v3.*.json), in which a variable is a text and nothing
 * else, whatever its default. So `abra app new` and `abra app deploy` refuse `start_period: ${X:-5m}` with the words
 * `services.app.healthcheck.start_period Does not match format 'duration'` (seen: recipe-maintainers/cc-ci, commit
 * fb20321), and `docker stack deploy`, which replaces variables first, takes it. What stands here is what that loader
 * refuses when it is given each of these places with a variable and told to replace none (28.5.1).
 */
export interface EarlyVariable {
  place: Place;
  /** As it is written. */
  value: string;
  /** What the loader expects there. */
  expected: string;
}

/** Durations, of which abra's refusal was seen in the field. */
const DURATIONS: ReadonlySet<string> = new Set([
  'services.*.healthcheck.interval',
  'services.*.healthcheck.timeout',
  'services.*.healthcheck.start_period',
  'services.*.deploy.update_config.delay',
  'services.*.deploy.update_config.monitor',
  'services.*.deploy.rollback_config.delay',
  'services.*.deploy.rollback_config.monitor',
  'services.*.deploy.restart_policy.delay',
  'services.*.deploy.restart_policy.window',
  'services.*.stop_grace_period',
]);
const DURATION = 'a duration';

/** What the loader checks besides those, and what it casts to a number or a boolean once variables are replaced. */
const OTHERS: ReadonlyMap<string, string> = new Map([
  ['services.*.init', 'true or false'],
  ['services.*.volumes.[].tmpfs.size', 'a whole number'],
  ['services.*.ports.[]', 'ports'],
  ['services.*.env_file', 'a file'],
  ['services.*.env_file.[]', 'a file'],
  ['services.*.deploy.update_config.order', 'start-first or stop-first'],
  ['services.*.deploy.rollback_config.order', 'start-first or stop-first'],
  ['services.*.deploy.resources.limits.memory', 'an amount of memory'],
  ['services.*.deploy.resources.reservations.memory', 'an amount of memory'],
]);

function expectedAt(path: readonly Key[]): string | null {
  const pattern = path
    .map((key, depth) => (typeof key === 'number' ? '[]' : depth === 1 ? '*' : key))
    .join('.');
  if (DURATIONS.has(pattern)) return DURATION;
  const cast = castAt(path);
  return OTHERS.get(pattern) ?? (cast === undefined ? null : CAST_NAMES[cast]);
}

/** Where such variables stand in compose files as they are written. */
export function earlyVariables(written: readonly ComposeSource[]): EarlyVariable[] {
  return written.flatMap((source) => {
    const found: EarlyVariable[] = [];
    const walk = (value: unknown, path: readonly Key[]): void => {
      if (Array.isArray(value)) for (const [index, item] of value.entries()) walk(item, [...path, index]);
      else if (isMapping(value)) for (const [key, item] of Object.entries(value)) walk(item, [...path, key]);
      else if (typeof value === 'string' && value.replaceAll('$$', '').includes('$')) {
        const expected = expectedAt(path);
        if (expected !== null) found.push({ place: source.at(...path), value, expected });
      }
    };
    walk(source.compose, []);
    return found;
  });
}

/** Throws RecipeProblem for the first variable that stands for a duration: no operator could deploy the release. */
export function checkDurations(written: readonly ComposeSource[]): void {
  const early = earlyVariables(written).find(({ expected }) => expected === DURATION);
  if (early !== undefined) throw new RecipeProblem(early.place, saidOf(early));
}

export function saidOf({ value, expected }: EarlyVariable): string {
  return `abra asks for ${expected} before it replaces variables, and refuses ${JSON.stringify(value)}: write it out`;
}
