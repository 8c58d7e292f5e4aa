import ms from 'ms';
import { z } from 'zod';
import { checkGitUrl } from '../../domain/git-url.ts';
import { isRecipeName } from '../../domain/names.ts';
import { duration } from '../machine/duration.ts';
import { FINDING_FORMS, isFindingName } from '../recipe-format/policy.ts';

/**
 * recipes/<name>/recipe.yml, as written. Every key is explained in recipes/recipe.example.yml. What one key
 * says is checked here; what keys and files say together, in recipe-folder.ts.
 */

const OURS = ['DOMAIN', 'STACK_NAME'];

const variables = z
  .record(
    z
      .string()
      .regex(/^[A-Z_][A-Z0-9_]*$/, 'an environment variable in capitals')
      .refine((name) => !OURS.includes(name), 'set for each deployment; it cannot be chosen'),
    z.string({ error: 'text: put numbers, true and false between quotes' }),
  )
  .prefault({});

const LONGEST_TIMEOUT = '24h';

const timeout = duration.refine(
  (time) => time > 0 && time <= ms(LONGEST_TIMEOUT),
  `more than 0s, and at most ${LONGEST_TIMEOUT}`,
);

const hexBytes = z.string().regex(/^([0-9a-f]{2})+$/, 'bytes in hexadecimal, as in 0a1b');

const LONGEST_EXPECT = 200;

/** A regular expression that an answer of any size can be held against. */
const expect = z
  .string()
  .min(1)
  .max(LONGEST_EXPECT, `at most ${LONGEST_EXPECT} characters`)
  .superRefine((written, context) => {
    try {
      new RegExp(written);
    } catch {
      context.addIssue({ code: 'custom', message: 'not a regular expression' });
      return;
    }
    if (repeatsARepetition(written)) {
      const message = 'repeats a group that holds a repetition without an end, which may take for ever';
      context.addIssue({ code: 'custom', message });
    }
  });

/**
 * Whether a group is repeated without an end that holds such a repetition itself, as in `(a+)+`. What else is slow is
 * cut off when it is used (host/probe/bytes.ts says why that is not enough).
 */
function repeatsARepetition(expression: string): boolean {
  const plain = expression.replaceAll(/\\.|\[(?:\\.|[^\]\\])*\]/gs, 'x');
  const open: boolean[] = [];
  let endless = false;
  for (const [token] of plain.matchAll(/\(|\)?(?:[+*]|\{\d+,\})|\)/g)) {
    if (token === '(') {
      open.push(endless);
      endless = false;
      continue;
    }
    const repeated = token !== ')';
    if (!token.startsWith(')')) {
      endless = true;
      continue;
    }
    if (repeated && endless) return true;
    endless = (open.pop() ?? false) || endless || repeated;
  }
  return false;
}

const httpProbe = z.strictObject({
  protocol: z.literal('http'),
  port: z.never({ error: 'of tcp and udp alone: http is asked where the proxy asks' }).optional(),
  path: z
    .string()
    .regex(/^\/[\x21-\x7e]*$/, 'a path that begins with /')
    .prefault('/'),
  status: z.array(z.number().int().min(100).max(599)).min(1).nullable().prefault(null),
  contains: z.string().min(1).nullable().prefault(null),
  redirects: z.enum(['answer', 'follow']).prefault('answer'),
  certificate: z.enum(['any', 'trusted']).prefault('any'),
});

const service = z.string().regex(/^[A-Za-z0-9._-]+$/, 'a service, as compose names it');

const socket = {
  port: z.number().int().min(1).max(65_535),
  service: service.prefault('app'),
};

const tcpProbe = z.strictObject({
  protocol: z.literal('tcp'),
  ...socket,
  tls: z.boolean().prefault(false),
  send: hexBytes.nullable().prefault(null),
  expect: expect.nullable().prefault(null),
});

const udpProbe = z.strictObject({
  protocol: z.literal('udp'),
  ...socket,
  tls: z.literal(false, { error: 'of tcp alone' }).prefault(false),
  send: z
    .string({ error: 'needed with udp, where nobody speaks unasked: bytes in hexadecimal' })
    .pipe(hexBytes),
  expect: expect.nullable().prefault(null),
});

const probe = z.preprocess(
  (written) =>
    typeof written === 'object' && written !== null && !Array.isArray(written) && !('protocol' in written)
      ? { ...written, protocol: 'http' }
      : written,
  z.discriminatedUnion('protocol', [httpProbe, tcpProbe, udpProbe], {
    error: ({ code }) => (code === 'invalid_union' ? 'http, tcp or udp' : undefined),
  }),
);

const allowance = z
  .string()
  .refine(isFindingName, `not the name of a finding: ${FINDING_FORMS.map(({ form }) => form).join(', ')}`);

function distinct(written: readonly string[]): boolean {
  return new Set(written).size === written.length;
}

/** No path, and nothing that a shell or a program would read as more than a name. */
const tool = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,63}$/, "a program's name, as in git-lfs: no path and no argument");

export const recipeYml = z.strictObject({
  upstream: z
    .string({ error: "the git URL of the recipe's home repository is needed" })
    .superRefine((url, context) => {
      const checked = checkGitUrl(url);
      if (!checked.ok) context.addIssue({ code: 'custom', message: checked.reason });
    }),
  upgrade_base: z
    .never({ error: 'bases are computed, from the canonical and the releases; no key pins one' })
    .optional(),
  exception: z.string().min(1).optional(),
  live: z.boolean().prefault(false),
  stateful: z.boolean().optional(),
  hold: z.string().min(1).optional(),
  env: variables,
  upgrade_env: variables,
  prereleases: z.boolean().prefault(false),
  one_shot: z.array(service).refine(distinct, 'the same service twice').prefault([]),
  deps: z
    .array(z.string().refine(isRecipeName, 'not a recipe name (a-z, 0-9 and single hyphens)'))
    .refine(distinct, 'the same recipe twice')
    .prefault([]),
  tools: z.array(tool).refine(distinct, 'the same tool twice').prefault([]),
  probe: probe.optional(),
  allow: z.array(allowance).refine(distinct, 'the same finding twice').prefault([]),
  timeouts: z.strictObject({ hook: timeout.prefault('5m'), check: timeout.prefault('10m') }).prefault({}),
});
