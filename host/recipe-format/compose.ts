import {
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  parseAllDocuments,
  visit,
  type Alias,
  type ScalarTag,
  type Tags,
} from 'yaml';
import { RecipeProblem, type Key, type Place } from './problem.ts';

/** A mapping as it stands in a compose file. */
export type Mapping = { [key: string]: unknown };

export function isMapping(value: unknown): value is Mapping {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Text, a number or a boolean as text; empty for anything else. */
export function scalarText(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

/** One of a recipe's compose files. */
export interface ComposeFile {
  /** Its path as COMPOSE_FILE names it. */
  name: string;
  compose: Mapping;
}

/** A compose file that knows where in it things stand. */
export interface ComposeSource extends ComposeFile {
  /** The place of what these keys lead to; where that is not written out, the line of what would hold it. */
  at(...path: Key[]): Place;
}

/** How often aliases may be followed before a file is taken for an alias bomb; the library's own measure. */
const MOST_ALIASES = 100;

const bool: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(?:[Tt]rue|TRUE|[Ff]alse|FALSE)$/,
  resolve: (text) => text.toLowerCase() === 'true',
};
const octal: ScalarTag = {
  tag: 'tag:yaml.org,2002:int',
  default: true,
  test: /^[-+]?0o[0-7]+$/,
  resolve: (text) => parseInt(text.replace('0o', ''), 8),
};

/**
 * The scalars of the reader inside the docker CLI (go-yaml): YAML 1.1 with its octals (`0440`), underscores
 * and merge keys, but without timestamps and base-60 numbers, which stay text. `yes`, `no`, `on` and `off`
 * stay text too, except where a boolean is due (variables.ts).
 */
function goYaml(tags: Tags): Tags {
  const kept = tags.filter(
    (tag) =>
      typeof tag === 'string' ||
      !(
        tag.tag === 'tag:yaml.org,2002:bool' ||
        tag.tag === 'tag:yaml.org,2002:timestamp' ||
        ('format' in tag && tag.format === 'TIME')
      ),
  );
  return [...kept, bool, octal];
}

/**
 * Reads one compose file. Throws RecipeProblem for whatever the docker CLI would refuse, duplicate keys and
 * keys that are not text among it. Of several documents only the first counts, as with docker.
 */
export function parseCompose(text: string, name: string): ComposeSource {
  const lines = new LineCounter();
  const [document] = parseAllDocuments(text, {
    version: '1.1',
    customTags: goYaml,
    logLevel: 'silent',
    lineCounter: lines,
    // Both take quadratic time in the library, and the file is not ours: they are seen to below.
    prettyErrors: false,
    uniqueKeys: false,
  });
  if (document === undefined || !('contents' in document) || !isMap(document.contents)) {
    throw new RecipeProblem(name, 'is not a compose file: no mapping at its top');
  }
  const problemAt = (node: Ranged, what: string): RecipeProblem =>
    new RecipeProblem({ file: name, line: lineOf(lines, node), path: [] }, what);
  const [error] = document.errors;
  if (error) {
    const tooDeep = error.code === 'RESOURCE_EXHAUSTION' || /call stack/i.test(error.message);
    throw problemAt({ range: error.pos }, tooDeep ? 'nested too deeply' : error.message);
  }
  visit(document, {
    Map(_, { items }) {
      const seen = new Set<string>();
      for (const { key } of items) {
        if (!isScalar(key) || typeof key.value !== 'string') continue;
        if (seen.has(key.value)) throw problemAt(key, `the key ${key.value} stands there twice`);
        seen.add(key.value);
      }
    },
    Pair(_, { key }) {
      if (!isScalar(key)) {
        throw problemAt(key ?? {}, 'a mapping has a key that is not text');
      }
      const { value, source } = key;
      if (typeof value !== 'string' && typeof value !== 'symbol') {
        throw problemAt(key, `the key ${source ?? String(value)} is not text: quote it`);
      }
    },
  });
  let parsed: unknown;
  try {
    parsed = document.toJS({ maxAliasCount: MOST_ALIASES });
  } catch (thrown) {
    throw new RecipeProblem(name, thrown instanceof Error ? thrown.message : String(thrown));
  }
  if (!isMapping(parsed)) throw new RecipeProblem(name, 'no mapping at its top');
  const anchored = new Map<Alias, unknown>();
  const resolve = (node: unknown): unknown => {
    if (!isAlias(node)) return node;
    // The library goes through the whole document for each.
    if (!anchored.has(node)) anchored.set(node, node.resolve(document));
    return anchored.get(node);
  };
  return {
    name,
    compose: parsed,
    at: (...path) => {
      const begin = beginningOf(document.contents, path, resolve);
      return { file: name, line: begin === null ? null : lineOf(lines, begin), path };
    },
  };
}

/** A part of the document, or what does not know where it stands. */
type Ranged = { range?: readonly number[] | null | undefined };

function lineOf(lines: LineCounter, { range }: Ranged): number | null {
  return range?.[0] === undefined ? null : lines.linePos(range[0]).line;
}

type Resolve = (node: unknown) => unknown;

/** Where begins what a path leads to, through aliases and merge keys; else as much of the path as there is. */
function beginningOf(top: unknown, path: readonly Key[], resolve: Resolve): Ranged | null {
  const looks = { left: MOST_ALIASES };
  let begin: Ranged | null = null;
  let node = top;
  for (const key of path) {
    const found = childOf(node, key, resolve, looks);
    if (found === null) break;
    ({ begin, value: node } = found);
  }
  return begin;
}

type Child = { begin: Ranged; value: unknown };

function childOf(parent: unknown, key: Key, resolve: Resolve, looks: { left: number }): Child | null {
  if (looks.left-- <= 0) return null;
  const node = resolve(parent);
  if (isSeq(node)) {
    const value = node.items[Number(key)];
    return value === undefined ? null : { begin: value as Ranged, value };
  }
  if (!isMap(node)) return null;
  const named = node.items.find((pair) => isScalar(pair.key) && pair.key.value === key);
  if (named !== undefined) return { begin: named.key as Ranged, value: named.value };
  for (const pair of node.items) {
    if (!isScalar(pair.key) || typeof pair.key.value !== 'symbol') continue;
    for (const merged of isSeq(pair.value) ? pair.value.items : [pair.value]) {
      const found = childOf(merged, key, resolve, looks);
      if (found !== null) return found;
    }
  }
  return null;
}
