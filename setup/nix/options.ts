import { isMap, isScalar, parseDocument, type YAMLMap } from 'yaml';
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
  /** A group that may be left out, which is not the same as one without keys. */
  | { kind: 'group' };

export interface Option {
  /** Dotted. A group comes before its keys. */
  key: string;
  type: OptionType;
  /** Whether the configuration is refused without it. */
  required: boolean;
  /** Null where there is none. */
  default: string | number | null;
  description: string;
  /** Null where the default says it. */
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

function typeOf(node: Exclude<z.output<typeof schemaNode>, { type: 'object' }>): OptionType {
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
      found.set(name, {
        description: sentences(comment),
        value: isScalar(value) ? value.value : null,
      });
      if (isMap(value)) visit(value, `${name}.`);
    });
  };
  if (!isMap(contents)) throw new Error('recipe-sweep.example.yml is no map');
  visit(contents, '');
  return found;
}

/** With the keys that stand in comments, `# tls:` and what is indented below it. */
function inUse(example: string): string {
  return example.replaceAll(
    /^( *)# ((?: {2})*(?:tls|ca|cert|key|serverName|apiKeyFile|forge|url|tokenFile|webhookSecretFile):.*| {2}# .*)$/gm,
    '$1$2',
  );
}

/** The paragraph that stands right above a key, without the words that an option's default says. */
function sentences(comment: string): string {
  const text = (comment.split(/\n\s*\n/).at(-1) ?? '').replaceAll(/\s*\n\s*/g, ' ').trim();
  return text.replace(/(?:^| )Default[^.]*\.$/, '');
}
