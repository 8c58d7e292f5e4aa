import { stringify } from 'yaml';
import type { Tier, TierResult } from '../../domain/outcome.ts';

/**
 * One entry of the catalogue: a small recipe with something planted in it, and what a sweep must say of it. It is
 * data alone: the base recipe below, what this one has instead, and the verdict.
 */
export interface Entry {
  /** The recipe is called by it, with a number behind it. */
  name: string;
  /** What is wrong with it, or only odd. */
  planted: string;
  /** What a wrong verdict on it would cost, or where it was met. */
  matters: string;
  /** In the order they are published; each is swept before the next one is. All before the last must pass, or come to what they say. */
  releases: readonly [Release, ...Release[]];
  /** What the operator has for it, beside where it comes from. */
  folder?: Folder;
  /** Secrets that a promote which broke off has left at its warm domain: by their names after the stack's, their values. */
  leftovers?: Readonly<Record<string, string>>;
  expected: Expected;
}

/** How a release differs from the base recipe, not from the release before it. */
export interface Release {
  /** Default: 1.0.0+1, and one minor more for each release. */
  version?: string;
  /** What the tag is called, where that is not the version. */
  tag?: string;
  /** Laid over the base's compose.yml: mappings key by key, all else in place of what was there; null takes away. */
  compose?: Tree;
  /** More labels for the app, in the form `name=value`. */
  labels?: readonly string[];
  /** Seconds that a deployment may take, by the recipe's own label. Default: 30. */
  timeout?: number;
  /** Lines that are put behind the base's .env.sample. */
  env?: readonly string[];
  /** Whole files of the checkout; null takes one away. */
  files?: Readonly<Record<string, string | null>>;
  /** More tags, which move to it if they were elsewhere. */
  moves?: readonly string[];
  /** Published together with the next one, and not swept before. */
  unswept?: true;
  /** What must be said of it where it is not the last one and does not pass. */
  comes?: Expected;
  /** Its image is {{leaving}}, which is gone from registry and engine once it was swept. */
  imageLeaves?: true;
}

export interface Folder {
  /** What recipe.yml says beside `upstream`. */
  settings?: Tree;
  /** Scripts of sh, by name. */
  hooks?: Readonly<Record<string, string>>;
  checks?: Readonly<Record<string, string>>;
}

export interface Expected {
  /** By its short name, as outcomeName() has it. */
  outcome: string;
  /** Of a FAIL: the tier that says so. */
  tier?: Tier;
  /** Of a PASS: the version on record, where it is not the one published last. */
  promoted?: string;
  /** Of what is red: the version on record all the same. */
  canonical?: string;
  /** Part of the outcome's reason, of a tier's note or reason, or of a lint problem. */
  says?: string;
  /** What the tiers say, as far as it matters. */
  tiers?: Readonly<Partial<Record<Tier, TierResult['result']>>>;
  /** Lint rules that are among those broken. */
  lint?: readonly string[];
  level?: number;
}

/** A mapping as YAML has it. */
export interface Tree {
  readonly [key: string]: Tree | string | number | boolean | null | readonly unknown[];
}

/** What `{{name}}` in the files of recipes stands for, which differs from one time to the next. */
export type Names = Readonly<Record<'recipe' | 'image' | 'latest' | 'registry' | 'leaving' | 'port', string>>;

/** The version of an entry's nth release. */
export function versionOf({ releases }: Entry, index: number): string {
  return releases[index]?.version ?? `1.${index}.0+1`;
}

/** The files of an entry's nth release. */
export function filesOf(entry: Entry, index: number, names: Names): Record<string, string> {
  const release = entry.releases[index];
  if (release === undefined) throw new RangeError(`${entry.name} has no release ${index}`);
  const version = versionOf(entry, index);
  const files: Record<string, string | null> = {
    'README.md': '# {{recipe}}\n',
    'abra.sh': '',
    '.env.sample': ['TYPE={{recipe}}', 'DOMAIN={{recipe}}.example.com', ...(release.env ?? []), ''].join(
      '\n',
    ),
    'compose.yml': stringify(laidOver(baseRecipe(release), release.compose ?? {})),
    [`release/${version}`]: 'Nothing to do.\n',
    ...release.files,
  };
  const filled = Object.entries(files).flatMap(([name, text]) =>
    text === null ? [] : [[name, fill(text, { ...names, version })] as const],
  );
  return Object.fromEntries(filled);
}

function fill(text: string, names: Readonly<Record<string, string>>): string {
  return text.replaceAll(/\{\{(\w+)\}\}/g, (_, name: string) => {
    const value = names[name];
    if (value === undefined) throw new RangeError(`nothing is called {{${name}}}`);
    return value;
  });
}

/** A web app with a volume, that comes up in a second. */
function baseRecipe({ labels = [], timeout = 30, imageLeaves }: Release): Tree {
  return {
    version: '3.8',
    services: {
      app: {
        image: imageLeaves ? '{{leaving}}' : '{{image}}',
        command: ['serve'],
        networks: ['proxy'],
        volumes: ['data:/data'],
        stop_grace_period: '1s',
        healthcheck: { test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1:8080/'], interval: '1s', retries: 5 },
        deploy: {
          endpoint_mode: 'dnsrr',
          update_config: { monitor: '1s' },
          restart_policy: { delay: '1s' },
          labels: [
            'traefik.enable=true',
            'traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)',
            'traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080',
            'coop-cloud.${STACK_NAME}.version={{version}}',
            `coop-cloud.\${STACK_NAME}.timeout=${timeout}`,
            ...labels,
          ],
        },
      },
    },
    volumes: { data: {} },
    networks: { proxy: { external: true } },
  };
}

function laidOver(under: Tree, over: Tree): Tree {
  const result: Record<string, Tree[string]> = { ...under };
  for (const [key, value] of Object.entries(over)) {
    const below = result[key];
    if (value === null) delete result[key];
    else result[key] = isTree(value) ? laidOver(isTree(below) ? below : {}, value) : value;
  }
  return result;
}

function isTree(value: Tree[string] | undefined): value is Tree {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A command that runs this script, to be laid over a service. */
export function script(text: string): { command: readonly string[] } {
  return { command: ['sh', '-c', text.replaceAll('$', '$$$$')] };
}

/** The same for the service app, with what else of it is other than usual. */
export function app(text: string, other: Tree = {}): Tree {
  return { services: { app: { ...script(text), ...other } } };
}

/** Hooks that keep one row in a file of the app's volume. */
export const ROW = {
  'write-data': `in-service app sh -c 'echo row > /data/row'`,
  'check-data': `in-service app grep -qx row /data/row`,
} as const;
