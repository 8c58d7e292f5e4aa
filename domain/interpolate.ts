/** A value that cannot be interpolated: a malformed `${…}`, or a required variable that is missing. */
export class BadTemplate extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'BadTemplate';
  }
}

const NAME = /[_a-z][_a-z0-9]*/iy;
const OPERATOR = /:?[-?]/y;
/**
 * The docker CLI lets an operator follow an unbraced name as well, and takes everything up to the next `}`
 * as its word: `$A-suffix` is `${A-suffix}` there, so the suffix is lost when A is set. What a package's
 * users get is what we must deploy.
 */
const UNBRACED_WORD = /(:?[-?])([^}]*)/y;

/**
 * Replaces the variables in one value of a compose file, as the docker CLI does before it deploys a stack
 * (docker/cli cli/compose/template): `$VAR`, `${VAR}`, `${VAR:-default}`, `${VAR-default}`, `${VAR:?error}`,
 * `${VAR?error}`, and `$$` for a dollar sign. An unset variable is empty. Throws {@link BadTemplate}, also for
 * what the compose specification knows and docker does not deploy: `${VAR:+instead}`, and a variable inside a
 * default, of which docker makes something else than is meant.
 */
export function interpolate(template: string, lookup: (name: string) => string | undefined): string {
  let result = '';
  let at = 0;
  while (at < template.length) {
    const dollar = template.indexOf('$', at);
    if (dollar < 0) return result + template.slice(at);
    result += template.slice(at, dollar);
    if (template[dollar + 1] === '$') {
      result += '$';
      at = dollar + 2;
      continue;
    }
    const braced = template[dollar + 1] === '{';
    const nameAt = dollar + (braced ? 2 : 1);
    const name = matchAt(NAME, template, nameAt)?.[0];
    if (name === undefined) throw malformed(template);
    const after = nameAt + name.length;
    if (!braced) {
      const unbraced = matchAt(UNBRACED_WORD, template, after);
      result += unbraced
        ? choose(name, unbraced[1] ?? '', lookup(name), unbraced[2] ?? '')
        : (lookup(name) ?? '');
      at = after + (unbraced?.[0].length ?? 0);
      continue;
    }
    const operator = matchAt(OPERATOR, template, after)?.[0] ?? '';
    const end = template.indexOf('}', after);
    const word = template.slice(after + operator.length, end);
    if (end < 0 || (operator === '' && word !== '') || word.includes('$')) throw malformed(template);
    result += choose(name, operator, lookup(name), word);
    at = end + 1;
  }
  return result;
}

function choose(name: string, operator: string, value: string | undefined, word: string): string {
  switch (operator) {
    case ':-':
      return value || word;
    case '-':
      return value ?? word;
    case ':?':
      if (!value) throw new BadTemplate(`required variable ${name} is empty or not set: ${word}`);
      return value;
    case '?':
      if (value === undefined) throw new BadTemplate(`required variable ${name} is not set: ${word}`);
      return value;
    default:
      return value ?? '';
  }
}

function matchAt(pattern: RegExp, text: string, at: number): RegExpExecArray | null {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

function malformed(template: string): BadTemplate {
  return new BadTemplate(
    `invalid interpolation format: ${JSON.stringify(template)} (a literal $ is written $$)`,
  );
}
