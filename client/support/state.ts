import { tryJson } from '../../host/machine/durable-file.ts';
import { endOfFileBelow, entriesBelow, listingBelow } from '../../host/machine/below-folder.ts';
import { SITE } from '../../host/store/places.ts';
import type { Bundle } from './bundle.ts';

/** Enough to see a habit in; older ones are a question away. */
const SWEEPS = 10;
const FILES_OF_A_FOLDER = 100;
/** Of a file, its end. */
export const MOST_BYTES = 1_000_000;
const LISTED = { ofOne: 200, ofAll: 5_000 };

/** Names that we give to folders, and to records in them; any other is in the listing alone. */
const FOLDER = /^[\w:%~+-][\w.:%~+-]*$/;
const RECORD = /^[\w:%~+-][\w.:%~+-]*\.jsonl?$/;
const OF_A_CANONICAL = /^(?:canonical|attached)\.json$|^history[\w-]*\.jsonl$/;
const OF_A_SERVICE = /^(?:last-good|underway|orders)\.json$|^history\.jsonl$/;
const OF_A_RUN = /^(?:result|resolved-images)\.json$/;

/**
 * The records that stand in the state folder, those of the last sweeps and their runs among them, and a listing of all
 * that stands there. Evidence, snapshots, working copies and the worker's home are listed, and not read; the report site,
 * which is made of the rest, is not looked into.
 */
export async function addState(bundle: Bundle, state: string): Promise<void> {
  await addListing(bundle, 'state.txt', state, new Set([SITE]));
  for (const file of ['installation.json', 'unreached.json', 'last-sweep.json', 'images.json'])
    await addRecord(bundle, state, file);
  for (const folder of ['alerts', 'alerts/ended', 'alerts/relayed', 'ledger', 'index', 'lock', 'attempts']) {
    await addRecords(bundle, state, folder, RECORD);
  }
  for (const recipe of await foldersIn(bundle, state, 'canonicals')) {
    await addRecords(bundle, state, `canonicals/${recipe}`, OF_A_CANONICAL);
  }
  for (const service of await foldersIn(bundle, state, 'services')) {
    await addRecords(bundle, state, `services/${service}`, OF_A_SERVICE);
  }
  for (const sweep of (await foldersIn(bundle, state, 'sweeps')).slice(0, SWEEPS)) {
    await addRecords(bundle, state, `sweeps/${sweep}`, /^report\.json$/);
    for (const recipe of await foldersIn(bundle, state, `runs/${sweep}`)) {
      await addRecords(bundle, state, `runs/${sweep}/${recipe}`, OF_A_RUN);
    }
  }
}

/** Names, kinds, modes, sizes and times of what stands below a folder, and nothing of what is in it. */
export async function addListing(
  bundle: Bundle,
  name: string,
  root: string,
  closed?: ReadonlySet<string>,
): Promise<void> {
  await bundle.gather(`a listing of ${root}`, async () => {
    const { entries, leftOut } = await listingBelow(root, LISTED, closed);
    const lines = entries.map(({ path, is, mode, bytes, writtenMs }) =>
      [
        is.padEnd(6),
        mode.toString(8).padStart(4, '0'),
        String(bytes).padStart(12),
        new Date(writtenMs).toISOString(),
        JSON.stringify(path),
      ].join('  '),
    );
    if (leftOut > 0) bundle.lacks(name, `${leftOut} entries or more are not listed`);
    bundle.addText(name, `${root}\n${lines.map((line) => `${line}\n`).join('')}`);
  });
}

async function foldersIn(bundle: Bundle, state: string, folder: string): Promise<string[]> {
  const names: string[] = [];
  await bundle.gather(folder, async () => {
    const entries = await entriesBelow(state, folder);
    names.push(
      ...entries.filter(({ is, name }) => is === 'folder' && FOLDER.test(name)).map(({ name }) => name),
    );
  });
  return names;
}

async function addRecords(bundle: Bundle, state: string, folder: string, isOne: RegExp): Promise<void> {
  await bundle.gather(folder, async () => {
    const named = (await entriesBelow(state, folder)).filter(({ name }) => isOne.test(name));
    for (const { name, is } of named) {
      if (is !== 'file') bundle.lacks(`${folder}/${name}`, `no file (${is}); links are not followed`);
    }
    const files = named.filter(({ is }) => is === 'file');
    for (const { name } of files.slice(0, FILES_OF_A_FOLDER))
      await addRecord(bundle, state, `${folder}/${name}`);
    const older = files.length - FILES_OF_A_FOLDER;
    if (older > 0) bundle.lacks(folder, `${older} older files are left out`);
  });
}

/**
 * A record as the document that it is: what cannot be read as one is not quoted, since nobody could tell what of it is a
 * secret.
 */
async function addRecord(bundle: Bundle, state: string, file: string): Promise<void> {
  await bundle.gather(file, async () => {
    const found = await endOfFileBelow(state, file, MOST_BYTES);
    if (found === null) return;
    const { text, bytes } = found;
    if (file.endsWith('.jsonl')) {
      addLines(bundle, `state/${file}`, found);
      return;
    }
    const document = tryJson(text);
    if (document !== undefined) bundle.addJson(`state/${file}`, document);
    else
      bundle.lacks(
        `state/${file}`,
        bytes > MOST_BYTES ? `too long, ${bytes} bytes` : `no JSON, ${bytes} bytes`,
      );
  });
}

/** The end of a file with a document on each line, which keep their places. */
export function addLines(
  bundle: Bundle,
  name: string,
  { text, bytes }: { text: string; bytes: number },
): void {
  const isCut = bytes > MOST_BYTES;
  const lines = text.split('\n').slice(isCut ? 1 : 0);
  if (isCut) bundle.lacks(name, `all but its last ${MOST_BYTES} of ${bytes} bytes`);
  if (lines.at(-1) === '') lines.pop();
  const documents = lines.map((line) => tryJson(line) ?? { unreadable: `${line.length} characters` });
  bundle.addJsonLines(name, documents);
}
