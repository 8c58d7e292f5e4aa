import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { printable } from '../domain/printable.ts';
import { listingBelow, withFolder } from '../host/machine/below-folder.ts';
import { openFileInside } from '../host/machine/inside-folder.ts';
import { html, linkTo, page, type Html } from './html.ts';

/**
 * What a run left beside its result, as pages and pictures: whatever web server shows the site, and whatever a file is
 * called, no browser runs anything of it. Files are read through no link.
 */

export interface EvidenceFile {
  /** Folders and the file's name, seen from the run's folder. */
  parts: string[];
  bytes: number;
  is: 'text' | 'picture' | 'other';
}

/** So much of a run is shown. */
const LIMITS = { ofOne: 200, ofAll: 500 };
/** Of a longer text its end is shown: that is where it went wrong. */
const MOST_SHOWN = 512 * 1024;
const LARGEST_PICTURE = 16 * 1024 * 1024;
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');

/** What stands in a run's folder, by path; nothing where there is no such folder. */
export async function evidenceIn(folder: string): Promise<{ files: Omit<EvidenceFile, 'is'>[]; leftOut: number }> {
  const { entries, leftOut } = await listingBelow(folder, LIMITS).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return { entries: [], leftOut: 0 };
    throw error;
  });
  const files = entries
    .filter(({ is }) => is === 'file')
    .map((entry) => ({ parts: entry.path.split(path.sep), bytes: entry.bytes }));
  return { files, leftOut };
}

/** A file of a run as it is to be shown; null where it is gone. */
export type Shown =
  | { is: 'text'; text: string; cut: boolean }
  | { is: 'picture'; bytes: Buffer }
  | { is: 'other' };

export async function readEvidence(folder: string, parts: readonly string[]): Promise<Shown | null> {
  return withFolder(folder, parts.slice(0, -1), async (inner) => {
    const file = await openFileInside(inner, parts.at(-1) ?? '');
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      const start = Buffer.alloc(PNG.length);
      await file.read(start, 0, start.length, 0);
      if (start.equals(PNG)) {
        if (size > LARGEST_PICTURE) return { is: 'other' };
        const bytes = Buffer.alloc(size);
        await file.read(bytes, 0, size, 0);
        return { is: 'picture', bytes };
      }
      const shown = Buffer.alloc(Math.min(size, MOST_SHOWN));
      const { bytesRead } = await file.read(shown, 0, shown.length, size - shown.length);
      const text = shown.subarray(0, bytesRead);
      if (text.includes(0)) return { is: 'other' };
      return { is: 'text', text: text.toString('utf8'), cut: size > MOST_SHOWN };
    } finally {
      await file.close();
    }
  });
}

/** Where a file of a run is shown, seen from the run's page. */
export function evidenceHref({ parts, is }: Pick<EvidenceFile, 'parts' | 'is'>): string | null {
  if (is === 'other') return null;
  const name = linkTo(...parts);
  return is === 'picture' ? name : `${name}.html`;
}

/** A text as it is shown: without colours, and with what else steers a reader's eyes written out. */
export function shownText(text: string): string {
  return printable(stripVTControlCharacters(text));
}

export interface TextPage {
  host: string;
  parts: readonly string[];
  text: string;
  cut: boolean;
  /** Where the whole file is, on the host. */
  file: string;
  /** Who asked for the run, and the recipe. */
  run: readonly [who: string, recipe: string];
}

/** A text file of a run, as a page. */
export function textPage({ host, parts, text, cut, file, run: [who, recipe] }: TextPage): string {
  const name = shownText(parts.join('/'));
  // runs, who asked, the recipe; then the folders that it stands in.
  const depth = 2 + parts.length;
  const up = '../'.repeat(parts.length - 1);
  const body: Html = html`<p class="meta">On the host: <code>${shownText(file)}</code>${cut ? '; here is its end' : ''}</p>
<pre class="file" tabindex="0" role="region" aria-label="${name}">${shownText(text)}</pre>`;
  const steps = [
    { title: recipe, href: `${'../'.repeat(depth)}recipe/${recipe}/` },
    { title: shownText(decodedName(who)), href: up === '' ? './' : up },
  ];
  return page({ title: name, depth, host, path: steps, body });
}

/** Who asked, as the folder of that name says it. */
export function decodedName(folder: string): string {
  try {
    return decodeURIComponent(folder);
  } catch {
    return folder;
  }
}
