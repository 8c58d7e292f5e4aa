import { BadTemplate, interpolate } from '../../domain/interpolate.ts';
import { isMapping, type ComposeSource, type Mapping } from './compose.ts';
import { RecipeProblem, type Key, type Place } from './problem.ts';

/**
 * Puts an app's variables into its compose files as the docker CLI would from its environment, so that they never
 * become a process's environment, and casts the values they stand in as it would.
 */

/** Values in one file, aliases and merge keys expanded. The largest recipe has about a thousand. */
const MOST_VALUES = 20_000;
/** Compose files are five or six deep; an anchor that holds itself has no end. */
const DEEPEST_VALUE = 50;
/** Characters that variables may add to one file. */
const MOST_GROWTH = 1024 * 1024;

type Cast = 'integer' | 'number' | 'boolean';

/**
 * Where the docker CLI turns interpolated text into a number or a boolean (docker/cli
 * cli/compose/loader/interpolate.go). `*` is any key, `[]` any item.
 */
const CASTS: ReadonlyMap<string, Cast> = new Map<string, Cast>([
  ['services.*.configs.[].mode', 'integer'],
  ['services.*.secrets.[].mode', 'integer'],
  ['services.*.healthcheck.retries', 'integer'],
  ['services.*.healthcheck.disable', 'boolean'],
  ['services.*.deploy.replicas', 'integer'],
  ['services.*.deploy.update_config.parallelism', 'integer'],
  ['services.*.deploy.update_config.max_failure_ratio', 'number'],
  ['services.*.deploy.rollback_config.parallelism', 'integer'],
  ['services.*.deploy.rollback_config.max_failure_ratio', 'number'],
  ['services.*.deploy.restart_policy.max_attempts', 'integer'],
  ['services.*.deploy.placement.max_replicas_per_node', 'integer'],
  ['services.*.ports.[].target', 'integer'],
  ['services.*.ports.[].published', 'integer'],
  ['services.*.ulimits.*', 'integer'],
  ['services.*.ulimits.*.hard', 'integer'],
  ['services.*.ulimits.*.soft', 'integer'],
  ['services.*.privileged', 'boolean'],
  ['services.*.read_only', 'boolean'],
  ['services.*.stdin_open', 'boolean'],
  ['services.*.tty', 'boolean'],
  ['services.*.volumes.[].read_only', 'boolean'],
  ['services.*.volumes.[].volume.nocopy', 'boolean'],
  ['networks.*.external', 'boolean'],
  ['networks.*.internal', 'boolean'],
  ['networks.*.attachable', 'boolean'],
  ['volumes.*.external', 'boolean'],
  ['secrets.*.external', 'boolean'],
  ['configs.*.external', 'boolean'],
]);

/** What the docker CLI casts the value to that these keys lead to, once its variables are replaced. */
export function castAt(path: readonly Key[]): Cast | undefined {
  const pattern = path.map((part, depth) => (typeof part === 'number' ? '[]' : depth === 1 ? '*' : part));
  const named = CASTS.get(pattern.join('.'));
  if (named !== undefined || pattern[2] !== 'ulimits') return named;
  return CASTS.get([...pattern.slice(0, 3), '*', ...pattern.slice(4)].join('.'));
}

/**
 * A compose file with its variables replaced in every value (never in a key) and cast where docker casts.
 * The result shares no values with the input. Throws RecipeProblem.
 */
export function interpolateCompose(
  source: ComposeSource,
  lookup: (name: string) => string | undefined,
): ComposeSource {
  let values = 0;
  let growth = 0;
  const bounded = (name: string): string | undefined => {
    const found = lookup(name);
    growth += found?.length ?? 0;
    if (growth > MOST_GROWTH) throw new BadTemplate(`variables add more than ${MOST_GROWTH} characters`);
    return found;
  };
  const walk = (value: unknown, path: readonly Key[]): unknown => {
    if (path.length > DEEPEST_VALUE)
      throw new RecipeProblem(source.at(...path.slice(0, 1)), 'nested too deeply');
    if (++values > MOST_VALUES) throw new RecipeProblem(source.name, `more than ${MOST_VALUES} values`);
    if (Array.isArray(value)) return value.map((item, index) => walk(item, [...path, index]));
    if (isMapping(value)) {
      return Object.fromEntries(
        Object.entries(value).map(([key, item]) => [key, walk(item, [...path, key])]),
      );
    }
    if (typeof value !== 'string') return value;
    let text: string;
    try {
      text = interpolate(value, bounded);
    } catch (error) {
      if (error instanceof BadTemplate) throw new RecipeProblem(source.at(...path), error.message);
      throw error;
    }
    const cast = castAt(path);
    return cast === 'boolean' || (cast !== undefined && text !== value)
      ? castTo(cast, text, () => source.at(...path))
      : text;
  };
  return { ...source, compose: walk(source.compose, []) as Mapping };
}

function castTo(cast: Cast, text: string, place: () => Place): number | boolean {
  if (cast === 'boolean') {
    if (/^(y|yes|true|on)$/i.test(text)) return true;
    if (/^(n|no|false|off)$/i.test(text)) return false;
  } else if (
    cast === 'integer' ? /^[-+]?\d+$/.test(text) : /^[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?$/i.test(text)
  ) {
    return Number(text);
  }
  throw new RecipeProblem(place(), `must be ${CAST_NAMES[cast]}, not ${JSON.stringify(text)}`);
}

export const CAST_NAMES: Record<Cast, string> = {
  integer: 'a whole number',
  number: 'a number',
  boolean: 'true or false',
};
