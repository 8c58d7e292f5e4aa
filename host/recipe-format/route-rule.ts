/**
 * A rule of a traefik router, of version 2 or 3: matchers joined by `&&`, `||`, `!` and parentheses. Asked is one
 * thing: of which hosts could a request be that it takes.
 */

type Rule =
  | { is: 'matcher'; name: string; args: string[] }
  | { is: 'not'; of: Rule }
  | { is: 'and' | 'or'; of: [Rule, Rule] };

export interface RuleHosts {
  /** Every host that it names, in lower case. */
  hosts: string[];
  /** Whether each way to match it goes through one of those. */
  bounded: boolean;
}

const HOST_MATCHERS = new Set(['host', 'hostheader', 'hostsni']);

/** More than any rule that a person wrote; characters, and parentheses within each other. */
const LONGEST = 10_000;
const DEEPEST = 50;

/** Null for a text that is no rule. traefik takes names of matchers in any case. */
export function hostsOfRule(text: string): RuleHosts | null {
  const rule = parse(text);
  return rule === null ? null : hostsOf(rule);
}

function hostsOf(rule: Rule): RuleHosts {
  switch (rule.is) {
    case 'matcher':
      return HOST_MATCHERS.has(rule.name)
        ? { hosts: rule.args.map((host) => host.toLowerCase()), bounded: rule.args.length > 0 }
        : { hosts: [], bounded: false };
    case 'not':
      return { hosts: hostsOf(rule.of).hosts, bounded: false };
    case 'and':
    case 'or': {
      const [a, b] = rule.of.map(hostsOf) as [RuleHosts, RuleHosts];
      const bounded = rule.is === 'and' ? a.bounded || b.bounded : a.bounded && b.bounded;
      return { hosts: [...a.hosts, ...b.hosts], bounded };
    }
  }
}

const TOKEN = /\s*(&&|\|\||[!(),]|[A-Za-z]\w*|`[^`]*`|"(?:[^"\\]|\\.)*"|'[^']*')/y;

function tokensOf(text: string): string[] | null {
  const tokens: string[] = [];
  TOKEN.lastIndex = 0;
  while (text.slice(TOKEN.lastIndex).trim() !== '') {
    const token = TOKEN.exec(text)?.[1];
    if (token === undefined) return null;
    tokens.push(token);
  }
  return tokens;
}

/** Thrown and caught here. */
class NoRule extends Error {}

function parse(text: string): Rule | null {
  const tokens = text.length > LONGEST ? null : tokensOf(text);
  if (tokens === null) return null;
  let at = 0;
  const take = (wanted: string): boolean => tokens[at] === wanted && ++at > 0;
  const expect = (wanted: string): void => {
    if (!take(wanted)) throw new NoRule();
  };

  const joined = (by: '&&' | '||', is: 'and' | 'or', next: (depth: number) => Rule) => (depth: number) => {
    let left = next(depth);
    while (take(by)) left = { is, of: [left, next(depth)] };
    return left;
  };
  const unary = (depth: number): Rule => {
    if (depth > DEEPEST) throw new NoRule();
    if (take('!')) return { is: 'not', of: unary(depth + 1) };
    if (take('(')) {
      const inner = either(depth + 1);
      expect(')');
      return inner;
    }
    return matcher();
  };
  const both = joined('&&', 'and', unary);
  const either = joined('||', 'or', both);
  const matcher = (): Rule => {
    const name = tokens[at++] ?? '';
    if (!/^[A-Za-z]/.test(name)) throw new NoRule();
    expect('(');
    const args: string[] = [];
    do {
      const arg = tokens[at++] ?? '';
      if (!/^[`"']/.test(arg)) throw new NoRule();
      args.push(arg.slice(1, -1));
    } while (take(','));
    expect(')');
    return { is: 'matcher', name: name.toLowerCase(), args };
  };

  try {
    const rule = either(0);
    return at === tokens.length ? rule : null;
  } catch (error) {
    if (error instanceof NoRule) return null;
    throw error;
  }
}
