import { mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { siteRoot } from '../../host/store/places.ts';
import { createSite } from '../../site/write-site.ts';
import { usualOutcome, writeSiteState } from '../fixtures/site-state.ts';
import { timed, type Figure, type Form } from './figure.ts';
import { interruption } from './interruption.ts';

/**
 * The report site of a fleet, from nothing and after one more look, beside the least that it takes: reading the same files
 * of the state folder, and writing the same bytes to as many files, each of them whole before it has its name.
 */
export async function siteBuild(_temporalBinary: string, form: Form): Promise<Figure[]> {
  const [recipes, weeks, rounds] = form === 'short' ? [60, 6, 1] : [1000, 52, 3];
  const folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-bench-'));
  try {
    const names = Array.from({ length: recipes }, (_one, at) => `recipe-${String(at).padStart(4, '0')}`);
    const state = path.join(folder, 'state');
    const made = await writeSiteState(folder, {
      recipes: names,
      weeks,
      last: new Date(),
      outcome: usualOutcome(state),
      evidenceWeeks: 0,
    });
    const config = {
      host: 'bench',
      ...made,
      temporal: { address: '127.0.0.1:7233', namespace: 'default', ui: 'http://127.0.0.1:8233' },
      serve: { listen: '127.0.0.1:8080' },
      retention: { sweeps: 730 * DAY_MS, evidence: 90 * DAY_MS, alerts: 180 * DAY_MS, images: 30 * DAY_MS },
    };
    const now = { holder: null, schedule: null };
    const [first, again, plain, ratio]: [number[], number[], number[], number[]] = [[], [], [], []];
    let files = 0;
    for (let round = 0; round < rounds; round += 1) {
      interruption.throwIfAborted();
      await rm(siteRoot(config.state), { recursive: true, force: true });
      const site = createSite(config);
      const build = await timed(async () => void ({ written: files } = await site.update(now)));
      again.push(await timed(async () => void (await site.update(now))));
      const least = await timed(() => leastWork(state, siteRoot(config.state), path.join(folder, 'plain')));
      first.push(build);
      plain.push(least);
      ratio.push(build / least);
    }
    const { size } = await stat(path.join(siteRoot(config.state), 'index.html'));
    const what = `${recipes} recipes × ${weeks} weeks`;
    return [
      {
        name: `site of ${what}, from nothing`,
        unit: 'ms',
        aim: { atMost: 10_000 },
        samples: first,
        notes: [`${files} files; the least that it takes: ${plain.map((ms) => ms.toFixed(0)).join(', ')} ms`],
      },
      {
        name: `site of ${what}, over the least that it takes`,
        unit: 'ratio',
        aim: null,
        samples: ratio,
        notes: [],
      },
      { name: `site of ${what}, looked at again`, unit: 'ms', aim: null, samples: again, notes: [] },
      { name: `fleet page of ${what}`, unit: 'MB', aim: { atMost: 1 }, samples: [size / 1e6], notes: [] },
    ];
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const DAY_MS = 86_400_000;

/** Reads what a site is made of, and writes what it became to another folder. */
async function leastWork(state: string, site: string, target: string): Promise<void> {
  for (const part of ['index', 'canonicals']) await readAll(path.join(state, part));
  const written = await readdir(site, { recursive: true, withFileTypes: true });
  for (const entry of written) {
    if (!entry.isFile()) continue;
    const file = path.join(entry.parentPath, entry.name);
    const inside = path.relative(site, file);
    if (inside.startsWith('runs/')) await readFile(path.join(state, path.dirname(inside), 'result.json'));
    const copy = path.join(target, inside);
    await mkdir(path.dirname(copy), { recursive: true });
    await writeFile(`${copy}.tmp`, await readFile(file));
    await rename(`${copy}.tmp`, copy);
  }
  await rm(target, { recursive: true });
}

async function readAll(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) await readFile(path.join(entry.parentPath, entry.name));
  }
}
