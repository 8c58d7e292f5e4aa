import { writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Document } from 'yaml';
import { LABEL } from '../../domain/labels.ts';
import { isMapping, type ComposeFile, type Mapping } from './compose.ts';
import { labelsOf, withLabels } from './labels.ts';

/** Labels of everything a deployment creates: the same in each deployment of an app. */
export type ObjectLabels = Readonly<
  Record<typeof LABEL.zone | typeof LABEL.recipe | typeof LABEL.lifetime, string>
>;

/** Labels of its services besides: others in each deployment, and a rollback brings the old ones back. */
export type ServiceLabels = Readonly<Record<typeof LABEL.run | typeof LABEL.deployment, string>>;

const KINDS = ['networks', 'volumes', 'configs', 'secrets'] as const;

/**
 * The compose files with our labels in them, and each service's image as `images` says. Containers carry the
 * object labels only: labels that differ from one deployment to the next would restart every task.
 */
export function labelled(
  files: readonly ComposeFile[],
  objects: ObjectLabels,
  services: ServiceLabels,
  images: Readonly<Record<string, string>>,
): ComposeFile[] {
  const external = new Set(
    files.flatMap(({ compose }) =>
      KINDS.flatMap((kind) => externalKeys(compose, kind).map((key) => `${kind}.${key}`)),
    ),
  );
  const labelledFiles = files.map(({ name, compose }) => {
    const result: Mapping = { ...compose };
    for (const kind of KINDS) {
      if (!isMapping(compose[kind])) continue;
      result[kind] = mapValues(compose[kind], (key, value) =>
        external.has(`${kind}.${key}`) || (value !== null && !isMapping(value))
          ? value
          : { ...value, labels: withLabels(value?.['labels'], objects) },
      );
    }
    if (isMapping(compose['services'])) {
      result['services'] = mapValues(compose['services'], (key, value) => {
        if (!isMapping(value)) return value;
        const deploy = isMapping(value['deploy']) ? value['deploy'] : {};
        return {
          ...value,
          ...('image' in value && images[key] !== undefined ? { image: images[key] } : {}),
          labels: withLabels(value['labels'], objects),
          deploy: { ...deploy, labels: withLabels(deploy['labels'], { ...objects, ...services }) },
        };
      });
    }
    return { name, compose: result };
  });
  const [first, ...rest] = labelledFiles;
  const named = files.some(
    ({ compose }) => isMapping(compose['networks']) && 'default' in compose['networks'],
  );
  if (first === undefined || named) return labelledFiles;
  // Services without networks share `<stack>_default`, which docker makes unlabelled unless it is written out.
  const networks = isMapping(first.compose['networks']) ? first.compose['networks'] : {};
  return [
    { ...first, compose: { ...first.compose, networks: { ...networks, default: { labels: objects } } } },
    ...rest,
  ];
}

/** The keys of what a file says lies outside the stack. */
export function externalKeys(compose: Mapping, kind: (typeof KINDS)[number]): string[] {
  const section = compose[kind];
  return Object.entries(isMapping(section) ? section : {}).flatMap(([key, value]) =>
    isMapping(value) && value['external'] !== undefined && value['external'] !== false ? [key] : [],
  );
}

function mapValues(mapping: Mapping, change: (key: string, value: unknown) => unknown): Mapping {
  return Object.fromEntries(Object.entries(mapping).map(([key, value]) => [key, change(key, value)]));
}

/**
 * Writes the files that `docker stack deploy` is given, and answers their names in order. Every `$` is
 * doubled, so that the client finds no variable in them; text is quoted, so that any YAML reader reads text.
 */
export async function writeCompose(files: readonly ComposeFile[], folder: string): Promise<string[]> {
  const written: string[] = [];
  for (const [number, { name, compose }] of files.entries()) {
    const file = `deployed-${number + 1}-${path.basename(name).replaceAll(/[^\w.-]/g, '_')}`;
    const document = new Document(escapeDollars(compose), {
      version: '1.1',
      compat: 'core',
      aliasDuplicateObjects: false,
    });
    const text = document.toString({
      defaultStringType: 'QUOTE_DOUBLE',
      defaultKeyType: 'PLAIN',
      lineWidth: 0,
    });
    await writeFile(path.join(folder, file), text.replace(/^%YAML 1\.1\n---\n/, ''));
    written.push(file);
  }
  return written;
}

function escapeDollars(value: unknown): unknown {
  if (typeof value === 'string') return value.replaceAll('$', '$$$$');
  if (Array.isArray(value)) return value.map(escapeDollars);
  if (isMapping(value)) return mapValues(value, (_, item) => escapeDollars(item));
  return value;
}

/** The labels on which docker, and so the proxy, sees a service: those of every file, later ones winning. */
export function deployLabels(files: readonly ComposeFile[], service: string): Map<string, string> {
  const labels = new Map<string, string>();
  for (const { compose } of files) {
    const services = compose['services'];
    const found = isMapping(services) ? services[service] : undefined;
    const deploy = isMapping(found) ? found['deploy'] : undefined;
    for (const [name, value] of labelsOf(isMapping(deploy) ? deploy['labels'] : undefined))
      labels.set(name, value);
  }
  return labels;
}
