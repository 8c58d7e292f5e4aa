import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostsOfRule } from '../../host/recipe-format/route-rule.ts';

describe('the hosts of a rule', () => {
  it.each<[rule: string, hosts: string[], bounded: boolean]>([
    ['Host(`a.example.org`)', ['a.example.org'], true],
    ['Host(`a`, `b`,"C")', ['a', 'b', 'c'], true],
    ['host(`A`)', ['a'], true],
    ['Host(`a`) && PathPrefix(`/x`)', ['a'], true],
    ['PathPrefix(`/x`) && (Host(`a`) || Host(`b`))', ['a', 'b'], true],
    ['Host(`a`) || PathPrefix(`/x`)', ['a'], false],
    ['Host(`a`) || Host(`b`) && Path(`/`)', ['a', 'b'], true],
    ['Path(`/`) || Host(`b`) && Path(`/`)', ['b'], false],
    ['!Host(`a`)', ['a'], false],
    ['Host(`a`) && !PathPrefix(`/admin`)', ['a'], true],
    ['HostSNI(`*`)', ['*'], true],
    ['HostRegexp(`.+`)', [], false],
    ['Query(`a`, `b`)', [], false],
    ['  Host( `a` )  ', ['a'], true],
  ])('%s', (rule, hosts, bounded) => {
    expect(hostsOfRule(rule)).toEqual({ hosts, bounded });
  });

  it.each([
    '',
    ' ',
    'Host',
    'Host()',
    'Host(a)',
    'Host(`a`',
    'Host(`a`))',
    '(Host(`a`)',
    'Host(`a`) &&',
    '&& Host(`a`)',
    'Host(`a`) Host(`b`)',
    'Host(`a`) & Host(`b`)',
    'Host(`a`,)',
    '!',
    '`a`',
    'Host(`a`);',
  ])('are none of %j', (rule) => {
    expect(hostsOfRule(rule)).toBeNull();
  });

  it('are what the logic says, whatever the rule', () => {
    interface Made {
      text: string;
      /** Whether a request for this host, or for none of them, can match; the paths are free. */
      takes(host: string, rest: boolean): boolean;
    }
    const { rule } = fc.letrec<{ rule: Made }>((tie) => ({
      rule: fc.oneof(
        { depthSize: 'small', withCrossShrink: true },
        fc.constantFrom('a', 'b').map((name): Made => ({
          text: `Host(\`${name}\`)`,
          takes: (host) => host === name,
        })),
        fc.constant<Made>({ text: 'PathPrefix(`/x`)', takes: (_, rest) => rest }),
        fc.tuple(tie('rule'), tie('rule')).map(([one, two]): Made => ({
          text: `(${one.text} && ${two.text})`,
          takes: (host, rest) => one.takes(host, rest) && two.takes(host, rest),
        })),
        fc.tuple(tie('rule'), tie('rule')).map(([one, two]): Made => ({
          text: `(${one.text} || ${two.text})`,
          takes: (host, rest) => one.takes(host, rest) || two.takes(host, rest),
        })),
        tie('rule').map((one): Made => ({
          text: `!${one.text}`,
          takes: (host, rest) => !one.takes(host, rest),
        })),
      ),
    }));
    fc.assert(
      fc.property(rule, ({ text, takes }) => {
        const found = hostsOfRule(text);
        expect(found).not.toBeNull();
        // What is called bounded takes no request for a host that it does not name.
        if (found?.bounded)
          for (const rest of [true, false]) expect(takes('somebody else', rest)).toBe(false);
      }),
      { numRuns: 2_000 },
    );
  });

  it('are soon told of a long text', () => {
    expect(hostsOfRule('('.repeat(100_000))).toBeNull();
    expect(hostsOfRule(Array(500).fill('Host(`a`)').join(' || '))).toMatchObject({ bounded: true });
    expect(hostsOfRule(Array(20_000).fill('Host(`a`)').join(' || '))).toBeNull();
  });
});
