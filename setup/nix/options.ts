import { isMap, isScalar, isSeq, parseDocument, type YAMLMap } from 'yaml';
import { z } from 'zod';
import { CONFIG_SCHEMA } from '../../host/config/config.ts';

/**
 * The keys of the configuration as options of the NixOS module: types and defaults are the schema's, descriptions and
 * examples those of recipe-sweep.example.yml.
 */

/** What nix/module.nix makes an option's type of. */
type OptionType =
  /** An extended regular expression, as POSIX has them, that the whole text matches. */
  | { kind: 'text'; pattern: string | null }
  | { kind: 'choice'; of: string[] }
  | { kind: 'number'; min: number; max: number }
  | { kind: 'texts'; pattern: string | null }
  /** A group that may be left out, which is not the same as one without keys. */
  | { kind: 'group' }
  /** Any number of groups with the same keys. */
  | { kind: 'groups' };

export interface Option {
  /** Dotted. A group, or a list of groups, comes before its keys. */
  key: string;
  type: OptionType;
  /** Whether the configuration is refused without it. */
  required: boolean;
  /** Null where there is none. */
  default: string | number | null;
  description: string;
  /** Null where the default says it; of a list of texts, one of them. */
  example: string | number | null;
}

/** What of JSON Schema is met in our configuration. */
const schemaNode = z.union([
  z.strictObject({
    type: z.literal('object'),
    properties: z.record(z.string(), z.unknown()),
    required: z.array(z.string()).default([]),
    additionalProperties: z.literal(false),
    default: z.object({}).optional(),
    $schema: z.string().optional(),
  }),
  z.strictObject({ type: z.literal('string'), enum: z.array(z.string()), default: z.string().optional() }),
  z.strictObject({
    type: z.literal('integer'),
    minimum: z.number(),
    maximum: z.number(),
    default: z.number().optional(),
  }),
  z.strictObject({
    type: z.literal('string'),
    pattern: z.string().optional(),
    minLength: z.number().optional(),
    maxLength: z.number().optional(),
    format: z.enum(['uri', 'starts_with', 'includes']).optional(),
    default: z.string().optional(),
  }),
  z.strictObject({
    type: z.literal('array'),
    items: z.unknown(),
    minItems: z.number().optional(),
    default: z.tuple([]).optional(),
  }),
]);

interface Explained {
  description: string;
  value: unknown;
}

/** Every option, in the order of the schema. Throws for a key that the example does not explain. */
export function optionsOf(example: string): Option[] {
  const schema: unknown = z.toJSONSchema(CONFIG_SCHEMA, { io: 'input' });
  return groupOptions(schema, '', explanations(example));
}

function groupOptions(schema: unknown, prefix: string, explained: ReadonlyMap<string, Explained>): Option[] {
  const group = schemaNode.parse(schema);
  if (!('properties' in group)) throw new Error(`${prefix} is no group`);
  return Object.entries(group.properties).flatMap(([name, property]): Option[] => {
    const key = `${prefix}${name}`;
    const node = schemaNode.parse(property);
    const required = group.required.includes(name);
    const { description = '', value = null } = explained.get(key) ?? {};
    if ('properties' in node) {
      const inside = groupOptions(node, `${key}.`, explained);
      if (node.default !== undefined) return inside;
      return [
        { key, type: { kind: 'group' }, required, default: null, description, example: null },
        ...inside,
      ];
    }
    if (description === '') throw new Error(`recipe-sweep.example.yml does not explain ${key}`);
    if (node.type === 'array')
      return listOptions(node.items, { key, required, description, value }, explained);
    const shown = typeof value === 'string' || typeof value === 'number' ? value : null;
    return [
      {
        key,
        type: typeOf(node),
        required,
        default: node.default ?? null,
        description,
        example: shown === node.default ? null : shown,
      },
    ];
  });
}

/** Of a list: of groups with their keys, or of texts. */
function listOptions(
  items: unknown,
  { key, required, description, value }: Explained & { key: string; required: boolean },
  explained: ReadonlyMap<string, Explained>,
): Option[] {
  const node = schemaNode.parse(items);
  const list = (type: OptionType, example: string | null): Option => {
    return { key, type, required, default: null, description, example };
  };
  if ('properties' in node) {
    return [list({ kind: 'groups' }, null), ...groupOptions(items, `${key}.`, explained)];
  }
  if (node.type === 'array') throw new Error(`${key} is a list of lists`);
  const type = typeOf(node);
  if (type.kind !== 'text') throw new Error(`${key} is no list of texts`);
  const [example = null] = Array.isArray(value) ? (value as string[]) : [];
  return [list({ kind: 'texts', pattern: type.pattern }, example)];
}

function typeOf(node: Exclude<z.output<typeof schemaNode>, { type: 'object' | 'array' }>): OptionType {
  if ('enum' in node) return { kind: 'choice', of: node.enum };
  if (node.type === 'integer') return { kind: 'number', min: node.minimum, max: node.maximum };
  const { pattern, minLength } = node;
  if (pattern !== undefined) return { kind: 'text', pattern: extended(pattern) };
  return { kind: 'text', pattern: minLength === undefined ? null : '.+' };
}

/** JavaScript's regular expression as POSIX writes it, for a match of the whole text. */
function extended(pattern: string): string {
  const [, from = '', middle = '', to = ''] = /^(\^?)(.*?)(\$?)$/s.exec(pattern) ?? [];
  // An escaped sign as a bracket of its own: of which signs a backslash may stand before, implementations differ.
  const written = middle
    .replaceAll(String.raw`\d`, '[0-9]')
    .replaceAll(String.raw`\/`, '/')
    .replaceAll(/\\([^\w\\^])/g, '[$1]');
  if (/\\|\(\?|[*+?}]\?/.test(written)) throw new Error(`not for POSIX: ${pattern}`);
  return `${from ? '' : '.*'}${written}${to || written.endsWith('.*') ? '' : '.*'}`;
}

/** What the example says of each key, those that are put out of use too. */
function explanations(example: string): Map<string, Explained> {
  const { contents } = parseDocument(inUse(example));
  const found = new Map<string, Explained>();
  const visit = (map: YAMLMap, prefix: string): void => {
    map.items.forEach(({ key, value }, index) => {
      if (!isScalar(key)) throw new Error(`recipe-sweep.example.yml: not a key below ${prefix}`);
      const name = `${prefix}${String(key.value)}`;
      const comment = key.commentBefore ?? (index === 0 ? map.commentBefore : null) ?? '';
      const description = sentences(comment);
      // Of a key that several items of a list have, the first one says what it is.
      if (description !== '' || !found.has(name)) {
        found.set(name, {
          description,
          value: isScalar(value) ? value.value : isSeq(value) ? value.toJSON() : null,
        });
      }
      if (isMap(value)) visit(value, `${name}.`);
      if (!isSeq(value)) return;
      value.items.forEach((item, at) => {
        if (!isMap(item)) return;
        if (at === 0) item.commentBefore ??= value.commentBefore ?? null;
        visit(item, `${name}.`);
      });
    });
  };
  if (!isMap(contents)) throw new Error('recipe-sweep.example.yml is no map');
  visit(contents, '');
  return found;
}

const PUT_OUT_OF_USE = [
  ...[
    'tls',
    'ca',
    'cert',
    'key',
    'serverName',
    'apiKeyFile',
    'forge',
    'url',
    'tokenFile',
    'keycloak',
    'webhookSecretFile',
  ],
  ...[
    'alerts',
    'webhook',
    'mail',
    'ntfy',
    'urlFile',
    'metrics',
    'listen',
    'to',
    'from',
    'server',
    'user',
    'passwordFile',
  ],
];

/** With the keys that stand in comments, `# tls:` and what is indented below it. */
function inUse(example: string): string {
  return example.replaceAll(
    RegExp(`^( *)# ((?: {2})*(?:- )?(?:${PUT_OUT_OF_USE.join('|')}):.*|(?: {2})+# .*)$`, 'gm'),
    '$1$2',
  );
}

/** The paragraph that stands right above a key, without the words that an option's default says. */
function sentences(comment: string): string {
  const text = (comment.split(/\n\s*\n/).at(-1) ?? '').replaceAll(/\s*\n\s*/g, ' ').trim();
  return text.replace(/(?:^| )Default[^.]*\.$/, '');
}
