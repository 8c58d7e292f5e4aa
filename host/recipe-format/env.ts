import { RecipeProblem } from './problem.ts';

/** What follows `#` on a variable's line: `# length=32 charset=default,special`. */
export type Modifiers = ReadonlyMap<string, string>;

export interface EnvSample {
  values: Map<string, string>;
  modifiers: Map<string, Modifiers>;
}

const ASSIGNMENT = /^\s*(?:export\s+)?([A-Za-z_][A-Za-z0-9_]*)\s*=[ \t]*/;
/** godotenv's rule, which abra reads env files with: upper-case names only, `\$` for a dollar sign. */
const VARIABLE = /(\\)?\$\{?([A-Z0-9_]+)\}?/g;
const ESCAPES: Record<string, string> = { n: '\n', r: '\r' };

/**
 * Reads a recipe's `.env.sample` as abra reads an app's env file: comments, single and double quotes (which
 * may span lines), and `$NAME` or `${NAME}` of earlier lines, so that a later line can extend one
 * (`COMPOSE_FILE="$COMPOSE_FILE:compose.mail.yml"`). A variable in `given` keeps that value wherever the
 * file assigns to it, as if an operator had edited the line. Throws RecipeProblem.
 */
export function parseEnvSample(text: string, file: string, given: ReadonlyMap<string, string>): EnvSample {
  const values = new Map(given);
  const modifiers = new Map<string, Modifiers>();
  const expand = (value: string): string =>
    value.replaceAll(VARIABLE, (whole, escaped: string | undefined, name: string) =>
      escaped ? whole.slice(1) : (values.get(name) ?? ''),
    );
  const lines = text.replaceAll('\r\n', '\n').split('\n');
  for (let number = 0; number < lines.length; number++) {
    const line = lines[number] ?? '';
    if (/^\s*(#|$)/.test(line)) continue;
    const where = `line ${number + 1}`;
    const [assignment, name] = ASSIGNMENT.exec(line) ?? [];
    if (assignment === undefined || name === undefined) {
      throw new RecipeProblem(file, where, 'is neither NAME=value nor a comment');
    }
    let rest = line.slice(assignment.length);
    let value: string;
    const quote = rest[0];
    if (quote === '"' || quote === "'") {
      let end = closingQuote(rest, quote);
      while (end < 0 && number + 1 < lines.length) {
        rest += `\n${lines[++number] ?? ''}`;
        end = closingQuote(rest, quote);
      }
      if (end < 0) throw new RecipeProblem(file, where, `the value of ${name} has no closing ${quote}`);
      const quoted = rest.slice(1, end);
      value = quote === "'" ? quoted : unescape(expand(quoted));
      rest = rest.slice(end + 1);
      if (!/^\s*(#|$)/.test(rest)) {
        throw new RecipeProblem(file, where, `text follows the quoted value of ${name}`);
      }
    } else {
      const comment = rest.search(/(^|\s)#/);
      value = expand((comment < 0 ? rest : rest.slice(0, comment)).trim());
      rest = comment < 0 ? '' : rest.slice(comment);
    }
    if (!given.has(name)) values.set(name, value);
    const said = parseModifiers(rest);
    if (said.size > 0) modifiers.set(name, said);
  }
  return { values, modifiers };
}

function closingQuote(text: string, quote: string): number {
  for (let at = 1; at < text.length; at++) {
    if (text[at] === '\\' && quote === '"') at++;
    else if (text[at] === quote) return at;
  }
  return -1;
}

function unescape(text: string): string {
  return text.replaceAll(/\\([^$])/g, (_, character: string) => ESCAPES[character] ?? character);
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
