import { readdir } from 'node:fs/promises';
import path from 'node:path';
import { stripVTControlCharacters } from 'node:util';
import { formatBytes } from '../domain/bytes.ts';
import { printable } from '../domain/printable.ts';
import { listingBelow, withFolder } from '../host/machine/below-folder.ts';
import { noneIfMissing } from '../host/machine/durable-file.ts';
import { openFileInside } from '../host/machine/inside-folder.ts';
import { folderName, RESULT_FILE } from '../host/store/places.ts';
import { html, linkTo, page } from './html.ts';

/**
 * What a run left beside its result, as pages and pictures: whatever web server shows the site, and whatever a file is
 * called, no browser runs anything of it. Files are read through no link.
 */

export interface EvidenceFile {
  /** Folders and the file's name, seen from the run's folder. */
  parts: string[];
  bytes: number;
  /** Whether it is shown as a picture, and not in the page of its step. */
  isPicture: boolean;
}

/** So much of a run is shown. */
const LIMITS = { ofOne: 200, ofAll: 500 };
/** Of a longer text its end is shown: that is where it went wrong. */
const MOST_SHOWN = 256 * 1024;
const LARGEST_PICTURE = 16 * 1024 * 1024;
const PNG = Buffer.from('89504e470d0a1a0a', 'hex');

/** What a run's own page says in words. */
const TOLD = new Set([RESULT_FILE, 'time.jsonl']);

/** What stands in a run's folder beside its result, by path; nothing where there is no such folder. */
export async function evidenceIn(
  folder: string,
): Promise<{ files: Omit<EvidenceFile, 'isPicture'>[]; leftOut: number }> {
  const there = await readdir(folder).catch(noneIfMissing);
  if (there.every((name) => TOLD.has(name))) return { files: [], leftOut: 0 };
  const { entries, leftOut } = await listingBelow(folder, LIMITS);
  const files = entries
    .filter((entry) => entry.is === 'file' && !TOLD.has(entry.path))
    .map((entry) => ({ parts: entry.path.split(path.sep), bytes: entry.bytes }));
  return { files, leftOut };
}

/** A file of a run as it is to be shown. */
export type Shown =
  | { is: 'text'; text: string; cut: boolean }
  | { is: 'picture'; bytes: Buffer }
  /** It is no text, or too large a picture. */
  | { is: 'other' };

/** Null where it is gone. */
export async function readEvidence(folder: string, parts: readonly string[]): Promise<Shown | null> {
  return withFolder(folder, parts.slice(0, -1), async (inner) => {
    const file = await openFileInside(inner, parts.at(-1) ?? '');
    if (file === null) return null;
    try {
      const { size } = await file.stat();
      const start = Buffer.alloc(PNG.length);
      await file.read(start, 0, start.length, 0);
      if (start.equals(PNG)) {
        // Web servers show nothing that begins with a dot.
        const isShown =
          parts.at(-1)?.endsWith('.png') === true && !parts.some((part) => part.startsWith('.'));
        if (size > LARGEST_PICTURE || !isShown) return { is: 'other' };
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

/** The step that a file is of: its first folder. What stands beside the steps is of the run as a whole. */
export function stepOf({ parts }: Pick<EvidenceFile, 'parts'>): string {
  return parts.length > 1 ? (parts[0] ?? WHOLE_RUN) : WHOLE_RUN;
}

const WHOLE_RUN = 'run';

/** The file of a step's page, in the folder of its run's. */
export function stepFile(step: string): string {
  return `${folderName(step)}.html`;
}

/** Where a file of a run is shown, seen from the run's page. */
export function evidenceHref(file: Pick<EvidenceFile, 'parts' | 'isPicture'>): string {
  const href = file.isPicture ? linkTo(...file.parts) : `${linkTo(stepFile(stepOf(file)))}#${anchorOf(file)}`;
  // What stands before a colon would be a scheme.
  return /^[^/#]*:/.test(href) ? `./${href}` : href;
}

/** No two files have the same: what is not plain in a name is written out. */
function anchorOf({ parts }: Pick<EvidenceFile, 'parts'>): string {
  return parts
    .map((part) => part.replaceAll(/[^A-Za-z0-9.-]/gu, (one) => `_${one.codePointAt(0)?.toString(16)}_`))
    .join('~');
}

/** A text as it is shown: without colours, and with what else steers a reader's eyes written out. */
export function shownText(text: string): string {
  return printable(stripVTControlCharacters(text));
}

export interface StepPage {
  host: string;
  step: string;
  files: readonly { file: EvidenceFile; shown: Exclude<Shown, { is: 'picture' }> }[];
  /** The run's folder, on the host. */
  folder: string;
  /** Who asked for the run, and the recipe. */
  run: readonly [who: string, recipe: string];
}

/** What a step of a run left, but for pictures: each file after the other. */
export function stepPage({ host, step, files, folder, run: [who, recipe] }: StepPage): string {
  const body = html`<ul class="files">
      ${files.map(({ file }) => html`<li><a href="#${anchorOf(file)}">${nameIn(file)}</a></li>`)}
    </ul>
    ${files.map(({ file, shown }) => {
      const anchor = anchorOf(file);
      const name = nameIn(file);
      const where = html`<code>${shownText(path.join(folder, ...file.parts))}</code>`;
      return html`<section>
        <h2 id="${anchor}">${name}</h2>
        <p class="meta">${formatBytes(file.bytes)}, on the host at ${where}${howShown(shown)}</p>
        ${shown.is === 'text' ? html`<pre class="file" tabindex="0" role="region" aria-labelledby="${anchor}">${shownText(shown.text)}</pre>` : ''}
      </section>`;
    })}`;
  const steps = [
    { title: recipe, href: `../../../recipe/${recipe}/` },
    { title: shownText(decodedName(who)), href: './' },
  ];
  return page({ title: `${recipe}: ${shownText(step)}`, depth: 3, host, path: steps, body });
}

function nameIn(file: EvidenceFile): string {
  return shownText((file.parts.length > 1 ? file.parts.slice(1) : file.parts).join('/'));
}

function howShown(shown: Exclude<Shown, { is: 'picture' }>): string {
  if (shown.is === 'other') return '; it is no text, and not shown here';
  return shown.cut ? '; here is its end' : '';
}

/** Who asked, as the folder of that name says it. */
function decodedName(folder: string): string {
  try {
    return decodeURIComponent(folder);
  } catch {
    return folder;
  }
}
