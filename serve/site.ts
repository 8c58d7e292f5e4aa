import { openFileInside, openInside } from '../host/machine/inside-folder.ts';
import { withFolder } from '../host/machine/below-folder.ts';
import type { Config } from '../host/config/config.ts';
import { siteRoot } from '../host/store/places.ts';
import { contentOf, NOTHING, partsOf, type Found } from './evidence.ts';

/** The report site as the worker writes it, file by file: no link in it is followed, and what begins with a dot is nobody's. */

const TYPES: Readonly<Record<string, string>> = {
  html: 'text/html; charset=utf-8',
  css: 'text/css; charset=utf-8',
  svg: 'image/svg+xml',
  png: 'image/png',
  xml: 'application/atom+xml; charset=utf-8',
  json: 'application/json; charset=utf-8',
};

/** What stands at that path of the site. Whoever is given content reads it or cancels it. */
export async function findPage(
  { state }: Pick<Config, 'state'>,
  path: string,
  head: boolean,
): Promise<Found> {
  const parts = partsOf(path) ?? ['.'];
  if (parts.some((part) => part.startsWith('.'))) return NOTHING;
  const folders = parts.slice(0, -1);
  const name = parts.at(-1) ?? '';
  const found = await withFolder(siteRoot(state), folders, async (folder): Promise<Found> => {
    const file = name === '' ? 'index.html' : name;
    const type = TYPES[/[^.]*$/.exec(file)?.[0] ?? ''];
    const opened = type === undefined ? null : await openFileInside(folder, file);
    if (opened !== null && type !== undefined) return contentOf(opened, type, head);
    if (name === '') return NOTHING;
    const inner = await openInside(folder, name);
    await inner?.close();
    return inner === null ? NOTHING : { is: 'a folder' };
  }).catch((error: NodeJS.ErrnoException) => {
    // The worker has not written it yet.
    if (error.code === 'ENOENT') return null;
    throw error;
  });
  return found ?? NOTHING;
}
