import { RecipeProblem, type Place } from './problem.ts';

/** What follows `#` on a variable's line: `# length=32 charset=default,special`. */
export type Modifiers = ReadonlyMap<string, string>;

export interface EnvSample {
  values: Map<string, string>;
  modifiers: Map<string, Modifiers>;
  /** Where a variable was last assigned to. */
  at(variable: string): Place;
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*/;
/** godotenv's rule, which abra reads env files with: upper-case names only, `\$` for a dollar sign. */
const VARIABLE = /(\\)?\$\{?([A-Z0-9_]+)\}?/g;
const ESCAPES: ReadonlyMap<string, string> = new Map([
  ['n', '\n'],
  ['r', '\r'],
]);

/** Characters of one value, the variables in it expanded; ten lines that double each other are a bomb. */
export const LONGEST_VALUE = 16 * 1024;
/** Of all values together. */
const MOST_TEXT = 1024 * 1024;

/**
 * Reads a recipe's `.env.sample` as abra reads an app's env file: comments, single and double quotes (which
 * may span lines), and `$NAME` or `${NAME}` of earlier lines, so that a later line can extend one
 * (`COMPOSE_FILE="$COMPOSE_FILE:compose.mail.yml"`). A variable in `given` keeps that value wherever the
 * file assigns to it, as if an operator had edited the line. Throws RecipeProblem.
 */
export function parseEnvSample(text: string, file: string, given: ReadonlyMap<string, string>): EnvSample {
  const values = new Map(given);
  const modifiers = new Map<string, Modifiers>();
  const lines = new Map<string, number>();
  let total = 0;
  const bounded = (value: string, grown: number, where: Place): void => {
    total += grown;
    if (value.length + grown <= LONGEST_VALUE && total <= MOST_TEXT) return;
    throw new RecipeProblem(where, `a value grows beyond ${LONGEST_VALUE} characters`);
  };
  const expand = (value: string, where: Place): string => {
    let grown = 0;
    return value.replaceAll(VARIABLE, (whole, escaped: string | undefined, name: string) => {
      if (escaped) return whole.slice(1);
      const found = values.get(name) ?? '';
      grown += found.length;
      bounded(value, grown, where);
      return found;
    });
  };
  const body = text.replaceAll('\r\n', '\n');
  let number = 0;
  for (let at = 0; at < body.length;) {
    const line = lineFrom(body, at);
    const where: Place = { file, line: ++number, path: [] };
    const start = at;
    at += line.length + 1;
    if (/^\s*(#|$)/.test(line)) continue;
    const [assignment, name] = ASSIGNMENT.exec(line) ?? [];
    if (assignment === undefined || name === undefined) {
      throw new RecipeProblem(where, 'is neither NAME=value nor a comment');
    }
    lines.set(name, number);
    let rest = line.slice(assignment.length);
    let value: string;
    const quote = rest[0];
    if (quote === '"' || quote === "'") {
      const begin = start + assignment.length + 1;
      const end = closingQuote(body, begin, quote);
      if (end < 0) throw new RecipeProblem(where, `the value of ${name} has no closing ${quote}`);
      const quoted = body.slice(begin, end);
      value = quote === "'" ? quoted : expand(unescape(quoted), where);
      rest = lineFrom(body, end + 1);
      number += quoted.split('\n').length - 1;
      at = end + 1 + rest.length + 1;
      if (!/^\s*(#|$)/.test(rest)) {
        throw new RecipeProblem(where, `text follows the quoted value of ${name}`);
      }
    } else {
      const comment = rest.search(/(^|\s)#/);
      value = expand((comment < 0 ? rest : rest.slice(0, comment)).trim(), where);
      rest = comment < 0 ? '' : rest.slice(comment);
    }
    if (!given.has(name)) values.set(name, value);
    const said = parseModifiers(rest);
    if (said.size > 0) modifiers.set(name, said);
  }
  return {
    values,
    modifiers,
    at: (variable) => ({ file, line: lines.get(variable) ?? null, path: [variable] }),
  };
}

/** An env file with these values and nothing to expand, as {@link parseEnvSample} and abra read them. */
export function envText(values: ReadonlyMap<string, string>): string {
  return [...values].map(([name, value]) => `${name}=${quoted(value)}\n`).join('');
}

function quoted(value: string): string {
  if (!/['\r\n]/.test(value)) return `'${value}'`;
  const escaped = value
    .replaceAll(/[\\"]/g, '\\$&')
    .replaceAll('\n', '\\n')
    .replaceAll('\r', '\\r')
    .replaceAll(/\$(?=\{?[A-Z0-9_])/g, '\\$');
  return `"${escaped}"`;
}

/** What stands from there to the end of the line. */
function lineFrom(text: string, at: number): string {
  const end = text.indexOf('\n', at);
  return end < 0 ? text.slice(at) : text.slice(at, end);
}

function closingQuote(text: string, from: number, quote: string): number {
  for (let at = from; at < text.length; at++) {
    if (text[at] === '\\' && quote === '"') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

function unescape(text: string): string {
  return text.replaceAll(/\\([^$])/g, (_, character: string) => ESCAPES.get(character) ?? character);
}

function parseModifiers(comment: string): Modifiers {
  const pairs = comment.replace(/^\s*#/, '').trim().split(/\s+/);
  return new Map(
    pairs.flatMap((pair) => {
      const equals = pair.indexOf('=');
      return equals > 0 ? [[pair.slice(0, equals), pair.slice(equals + 1)] as const] : [];
    }),
  );
}

/**
 * The `export NAME=value` lines of abra.sh, which version a recipe's configs. They are read as text: the
 * file is never run, so a value that only a shell could tell (it has `$` or a backtick) is left out.
 */
export function parseAbraExports(text: string): Map<string, string> {
  const found = new Map<string, string>();
  for (const line of text.split(/\r?\n/)) {
    const match = /^export\s+([A-Za-z_][A-Za-z0-9_]*)=("[^"]*"|'[^']*'|[^\s#;]*)/.exec(line);
    const [, name, written] = match ?? [];
    if (name === undefined || written === undefined || /[$`]/.test(written)) continue;
    found.set(name, written.replace(/^(["'])(.*)\1$/, '$2'));
  }
  return found;
}

/**
 * Reads a file that a service names as its env_file, as docker does: `NAME=value` as it stands, comments; a
 * name alone has the app's value, and is left out where the app has none. Throws RecipeProblem.
 */
export function parseEnvFile(
  text: string,
  file: string,
  lookup: (name: string) => string | undefined,
): Map<string, string> {
  const found = new Map<string, string>();
  for (const [index, written] of text
    .replace(/^\ufeff/, '')
    .split(/\r?\n/)
    .entries()) {
    const line = written.trimStart();
    if (line === '' || line.startsWith('#')) continue;
    const equals = line.indexOf('=');
    const name = equals < 0 ? line : line.slice(0, equals);
    if (name === '' || /\s/.test(name)) {
      throw new RecipeProblem({ file, line: index + 1, path: [] }, 'is neither NAME=value nor a comment');
    }
    const value = equals < 0 ? lookup(name) : line.slice(equals + 1);
    if (value !== undefined) found.set(name, value);
  }
  return found;
}
