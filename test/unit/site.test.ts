import { mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { givenResult, type RecipeResult } from '../../domain/report.ts';
import { runName } from '../../domain/run.ts';
import { createKept } from '../../host/store/kept.ts';
import { createResults } from '../../host/store/results.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import type { Now } from '../../site/read.ts';
import { siteRoot } from '../../host/store/places.ts';
import { createSite, type Site } from '../../site/write-site.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { plainConfig } from '../fixtures/plain-config.ts';
import { usualOutcome, writeSiteState, type SiteState, type Weeks } from '../fixtures/site-state.ts';

/** The site as it is written to disk, of a state folder that weeks of sweeps left. */

const RECIPES = ['ghost', 'gitea', 'hedgedoc', 'keycloak', 'lasuite-docs', 'mailu', 'nextcloud', 'outline'];
const HOUR_MS = 60 * 60_000;
const UI = 'http://temporal.example.org';
const NOW: Now = { holder: null, schedule: 'none' };

let folder: string;
let laterMs: number;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'site-'));
  laterMs = 0;
});
afterEach(() => rm(folder, { recursive: true, force: true }));

async function stateOf(weeks: Partial<Weeks> = {}): Promise<SiteState> {
  return writeSiteState(folder, {
    recipes: RECIPES,
    weeks: 4,
    last: new Date(Date.now() - HOUR_MS),
    outcome: usualOutcome(path.join(folder, 'state')),
    ...weeks,
  });
}

const configOf = ({ state, recipes, zone }: SiteState, url?: string) =>
  plainConfig({
    host: 'ci-1',
    zone,
    state,
    recipes,
    temporal: { address: '', namespace: 'default', ui: UI },
    serve: { listen: '127.0.0.1:8080', ...(url === undefined ? {} : { url }) },
    retention: { sweeps: 1e12, evidence: 1e11, alerts: 1e9, images: 1e9 },
  });

const siteOf = (given: SiteState): Site => createSite(configOf(given), () => laterMs);

/** Its files, but for those of its own house; seen from the site. */
async function filesOf({ state }: Pick<SiteState, 'state'>): Promise<string[]> {
  const root = siteRoot(state);
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)))
    .filter((file) => !file.startsWith('.'))
    .sort();
}

const read = ({ state }: Pick<SiteState, 'state'>, file: string): Promise<string> =>
  readFile(path.join(siteRoot(state), file), 'utf8');

/** What tells each file from what it was before. */
async function marksOf(given: SiteState): Promise<Map<string, string>> {
  const marks = new Map<string, string>();
  for (const file of await filesOf(given)) {
    const { ino, mtimeNs } = await stat(path.join(siteRoot(given.state), file), { bigint: true });
    marks.set(file, `${ino} ${mtimeNs}`);
  }
  return marks;
}

/** The files that are written, and those that are gone, while the body runs. */
async function changedBy(
  given: SiteState,
  body: () => Promise<unknown>,
): Promise<{ written: string[]; gone: string[] }> {
  const before = await marksOf(given);
  await body();
  const after = await marksOf(given);
  return {
    written: [...after].filter(([file, mark]) => before.get(file) !== mark).map(([file]) => file),
    gone: [...before.keys()].filter((file) => !after.has(file)),
  };
}

const ENTITIES: Record<string, string> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'" };
const textIn = (markup: string): string =>
  markup
    .replaceAll(/<[^>]*>/g, ' ')
    .replaceAll(/&(\w+|#39);/g, (_all, name: string) => ENTITIES[name] ?? '?');

const linksIn = (markup: string): string[] =>
  [...markup.matchAll(/\s(?:href|src)=(?:"([^"]*)"|([^\s">]+))/g)].map(([, quoted, bare]) =>
    textIn(quoted ?? bare ?? ''),
  );

const SITE = 'http://site.example.org/';

/** Each link of the site that leads to nothing: the file, and the link in it. */
async function deadLinks(given: SiteState): Promise<string[]> {
  const files = new Set(await filesOf(given));
  const dead: string[] = [];
  for (const file of files) {
    if (!/\.(?:html|xml)$/.test(file)) continue;
    const at = new URL(file.split(path.sep).map(encodeURIComponent).join('/'), SITE);
    for (const link of linksIn(await read(given, file))) {
      const to = new URL(link, at);
      if (to.origin === UI || link === 'http://www.w3.org/2005/Atom') continue;
      const place = decodeURIComponent(to.pathname.slice(1));
      const target = place === '' || place.endsWith('/') ? `${place}index.html` : place;
      const isThere =
        to.origin === new URL(SITE).origin &&
        files.has(target) &&
        (to.hash === '' || (await read(given, target)).includes(` id="${to.hash.slice(1)}"`));
      if (!isThere) dead.push(`${file}: ${link}`);
    }
  }
  return dead;
}

/** A run that failed, with its log, as the product leaves it. */
async function addRun(given: SiteState, change: Partial<RecipeResult> = {}): Promise<RecipeResult> {
  const results = createResults(given.state);
  const at = { started: new Date(Date.now() - 90_000).toISOString(), ended: new Date().toISOString() };
  const pass = { kind: 'PASS', promoted: '9.0.0+1.0.0' } as const;
  const result = { ...givenResult('sweep-now', 'ghost', pass, at), ...change };
  const step = path.join(await results.runFolder(runName(result)), 'cold-test-upgrade');
  await mkdir(step, { recursive: true });
  await writeFile(path.join(step, 'app.log'), 'it began\nit ended\n');
  await results.write(result);
  await createRunIndex(given.state).add(result);
  return result;
}

describe('every link leads to what is there', () => {
  test.each([undefined, SITE])('where the address of the site is %s', async (url) => {
    const given = await stateOf();
    await createSite(configOf(given, url)).update(NOW);
    expect(await deadLinks(given)).toEqual([]);
    expect((await filesOf(given)).length).toBeGreaterThan(40);
  });

  test('when a run came, and when one went', async () => {
    const given = await stateOf();
    const site = siteOf(given);
    await site.update(NOW);
    await addRun(given);
    await site.update(NOW);
    expect(await deadLinks(given)).toEqual([]);
    const index = createRunIndex(given.state);
    await index.rewrite('ghost', (await index.of('ghost')).runs.slice(1));
    await site.update(NOW);
    expect(await deadLinks(given)).toEqual([]);
  });

  test('when runs are too old for a page of their own', async () => {
    const given = await stateOf({ weeks: 20 });
    await createSite({
      ...configOf(given),
      retention: { ...configOf(given).retention, evidence: 1e9 },
    }).update(NOW);
    expect(await deadLinks(given)).toEqual([]);
  });
});

test('each ID is of one place in its page', async () => {
  const given = await stateOf();
  const result = await addRun(given);
  const run = createResults(given.state).folderOf(runName(result));
  for (const file of ['step/a b.log', 'step/a_b.log', 'step/c/d.log', 'step/c-d.log', 'step-c/d.log']) {
    await mkdir(path.dirname(path.join(run, file)), { recursive: true });
    await writeFile(path.join(run, file), file);
  }
  await siteOf(given).update(NOW);
  for (const file of (await filesOf(given)).filter((name) => name.endsWith('.html'))) {
    const ids = [...(await read(given, file)).matchAll(/ id="([^"]*)"/g)].map(([, id]) => id);
    expect(new Set(ids).size, file).toBe(ids.length);
  }
});

describe('only what changed is written', () => {
  test('nothing when nothing did', async () => {
    const given = await stateOf();
    const site = siteOf(given);
    expect((await site.update(NOW)).written).toBe((await filesOf(given)).length + 1);
    const { written, gone } = await changedBy(given, async () => {
      expect(await site.update(NOW)).toEqual({ written: 0, problems: [] });
    });
    expect([written, gone]).toEqual([[], []]);
  });

  test('an outcome changes the pages of its run, its recipe, its sweep and the fleet', async () => {
    const given = await stateOf();
    const site = siteOf(given);
    await site.update(NOW);
    await addRun(given);
    const { written, gone } = await changedBy(given, () => site.update(NOW));
    expect(written).toEqual([
      'badge/ghost.svg',
      'feed.xml',
      'index.html',
      'index.json',
      'recipe/ghost/feed.xml',
      'recipe/ghost/index.html',
      'runs/sweep-now/ghost/cold-test-upgrade.html',
      'runs/sweep-now/ghost/index.html',
      'sweeps/sweep-now/index.html',
    ]);
    expect(gone).toEqual([]);
  });

  test('another process writes no page of a run again', async () => {
    const given = await stateOf();
    await siteOf(given).update(NOW);
    const { written } = await changedBy(given, () => siteOf(given).update(NOW));
    expect(written.filter((file) => file.startsWith('runs/'))).toEqual([]);
  });
});

describe('what is gone from the state folder goes from the site', () => {
  test('a run that is in no index any more', async () => {
    const given = await stateOf();
    const site = siteOf(given);
    await addRun(given);
    await site.update(NOW);
    const index = createRunIndex(given.state);
    await index.rewrite('ghost', (await index.of('ghost')).runs.slice(1));
    const { gone } = await changedBy(given, () => site.update(NOW));
    expect(gone).toContain('runs/sweep-now/ghost/index.html');
    expect((await filesOf(given)).filter((file) => file.includes('runs/sweep-now'))).toEqual([]);
  });

  test('evidence that was thrown away, at the next look', async () => {
    const given = await stateOf();
    const result = await addRun(given);
    const site = siteOf(given);
    await site.update(NOW);
    expect(await filesOf(given)).toContain('runs/sweep-now/ghost/cold-test-upgrade.html');
    const kept = createKept(given.state, createRunIndex(given.state));
    await kept.discardEvidence(`${result.asked.id}/ghost`, 'thrown away after a month');
    laterMs += 7 * HOUR_MS;
    await site.update(NOW);
    const files = await filesOf(given);
    expect(files.filter((file) => file.startsWith('runs/sweep-now/'))).toEqual([
      'runs/sweep-now/ghost/index.html',
      'runs/sweep-now/ghost/run.html',
    ]);
    expect(textIn(await read(given, 'runs/sweep-now/ghost/run.html'))).toContain('thrown away after a month');
    expect(await deadLinks(given)).toEqual([]);
  });
});

describe('what is not as it was written is written anew', () => {
  test('a site that somebody deletes meanwhile', async () => {
    const given = await stateOf();
    const site = siteOf(given);
    await site.update(NOW);
    const before = await filesOf(given);
    await rm(siteRoot(given.state), { recursive: true });
    await site.update(NOW);
    expect(await filesOf(given)).toEqual(before);
  });

  test.each(['style.css', 'recipe', 'runs', 'badge/ghost.svg'])(
    'a part of it, %s, at the next look',
    async (part) => {
      const given = await stateOf();
      const site = siteOf(given);
      await site.update(NOW);
      const before = await filesOf(given);
      await rm(path.join(siteRoot(given.state), part), { recursive: true });
      laterMs += 7 * HOUR_MS;
      await site.update(NOW);
      expect(await filesOf(given)).toEqual(before);
    },
  );

  test('pages of another version', async () => {
    const given = await stateOf();
    await siteOf(given).update(NOW);
    await writeFile(path.join(siteRoot(given.state), '.made-by'), 'another');
    const { written } = await changedBy(given, () => siteOf(given).update(NOW));
    expect(written).toEqual(await filesOf(given));
    expect(await read(given, '.made-by')).not.toBe('another');
  });

  test('a page that a crash left empty, and what was not finished', async () => {
    const given = await stateOf();
    await addRun(given);
    await siteOf(given).update(NOW);
    const pages = ['runs/sweep-now/ghost/index.html', 'recipe/ghost/index.html', 'index.html'];
    const before = await Promise.all(pages.map((file) => read(given, file)));
    for (const file of pages) await writeFile(path.join(siteRoot(given.state), file), '');
    await writeFile(path.join(siteRoot(given.state), '.unfinished', 'abc'), 'half');
    await siteOf(given).update(NOW);
    expect(await Promise.all(pages.map((file) => read(given, file)))).toEqual(before);
    expect(await readdir(path.join(siteRoot(given.state), '.unfinished'))).toEqual([]);
  });

  test('a page that was cut off', async () => {
    const given = await stateOf();
    await siteOf(given).update(NOW);
    const before = await read(given, 'recipe/ghost/index.html');
    await writeFile(path.join(siteRoot(given.state), 'recipe/ghost/index.html'), before.slice(0, 100));
    await siteOf(given).update(NOW);
    expect(await read(given, 'recipe/ghost/index.html')).toBe(before);
  });
});

test('a link in evidence is not followed', async () => {
  const given = await stateOf();
  const result = await addRun(given);
  const run = createResults(given.state).folderOf(runName(result));
  await writeFile(path.join(folder, 'secret'), 'only for the host');
  await mkdir(path.join(folder, 'secrets'));
  await writeFile(path.join(folder, 'secrets', 'other.log'), 'only for the host');
  await symlink(path.join(folder, 'secret'), path.join(run, 'cold-test-upgrade', 'more.log'));
  await symlink(path.join(folder, 'secrets'), path.join(run, 'cold-test-custom'));
  await symlink(path.join(folder, 'secret'), path.join(run, 'secret.txt'));
  await siteOf(given).update(NOW);
  const files = await filesOf(given);
  const texts = await Promise.all(files.map((file) => read(given, file)));
  expect(texts.filter((text) => text.includes('only for the host'))).toEqual([]);
  expect(files.filter((file) => file.includes('cold-test-custom') && file.includes('sweep-now'))).toEqual([]);
});

test('a result that cannot be read has a page that says so, and is told of until it can', async () => {
  const given = await stateOf();
  const result = await addRun(given);
  await writeFile(createResults(given.state).fileOf(runName(result)), '{"schema": 4, "rec');
  const site = siteOf(given);
  const { problems } = await site.update(NOW);
  expect(problems).toEqual([expect.stringContaining('sweep-now/ghost/result.json')]);
  const page = textIn(await read(given, 'runs/sweep-now/ghost/index.html'));
  expect(page).toContain('the result itself is not there, or cannot be read');
  expect(page).toContain('9.0.0+1.0.0');
  expect(textIn(await read(given, 'index.html'))).toContain('sweep-now/ghost/result.json');
  expect(await site.update(NOW)).toEqual({ written: 0, problems });
  expect(textIn(await read(given, 'index.html'))).toContain('sweep-now/ghost/result.json');
});

test('a step whose name is no plain name has its page', async () => {
  const given = await stateOf();
  const result = await addRun(given);
  const run = createResults(given.state).folderOf(runName(result));
  for (const step of ['é'.repeat(120), 'a b', '50%', '#1', '?']) {
    await mkdir(path.join(run, step));
    await writeFile(path.join(run, step, 'app.log'), step);
  }
  expect(await siteOf(given).update(NOW)).toMatchObject({ problems: [] });
  expect(await deadLinks(given)).toEqual([]);
  expect((await filesOf(given)).filter((file) => file.startsWith('runs/sweep-now/'))).toHaveLength(7);
});

test('a run whose pages cannot be written keeps no other recipe from the site', async () => {
  const given = await stateOf();
  const result = await addRun(given);
  const other = await addRun(given, { recipe: 'gitea', workflow: { id: 'sweep-now/gitea', runId: null } });
  // Its picture has the place of the page.
  const step = path.join(createResults(given.state).folderOf(runName(result)), 'index.html');
  await mkdir(step);
  await writeFile(path.join(step, 'a.png'), Buffer.from('89504e470d0a1a0a', 'hex'));
  const site = siteOf(given);
  const { problems } = await site.update(NOW);
  expect(problems).toEqual([expect.stringContaining('the pages of ghost: ')]);
  expect(await filesOf(given)).toContain(`runs/${runName(other)}/index.html`);
  expect(textIn(await read(given, 'index.html'))).toContain('the pages of ghost: ');
  expect((await site.update(NOW)).problems).toEqual(problems);
  await rm(step, { recursive: true });
  await rm(path.join(siteRoot(given.state), 'runs', runName(result)), { recursive: true });
  expect(await site.update(NOW)).toMatchObject({ problems: [] });
  expect(await deadLinks(given)).toEqual([]);
});

test('a run whose folder is a file keeps neither the fleet nor the others from the site', async () => {
  const given = await stateOf();
  const evidence = '/elsewhere/app.log';
  const outcome = {
    kind: 'FAIL',
    version: '9.0.0+1',
    tier: 'install',
    why: 'no',
    evidence,
    canonical: null,
  } as const;
  const result = await addRun(given, { outcome });
  const folder = createResults(given.state).folderOf(runName(result));
  await rm(folder, { recursive: true });
  await writeFile(folder, '');
  const { problems } = await siteOf(given).update(NOW);
  expect(problems.join('\n')).toContain('the pages of ghost: ');
  const fleet = textIn(await read(given, 'index.html'));
  expect(fleet).toContain('9.0.0+1: install: no');
  expect(fleet).toContain('the pages of ghost: ');
});

test('nobody sees half a file', async () => {
  const given = await stateOf({ weeks: 2 });
  const site = siteOf(given);
  await site.update(NOW);
  const files = (await filesOf(given)).filter((file) => /\.(?:html|xml|json)$/.test(file));
  const broken: string[] = [];
  const ENDS: Record<string, string> = { html: '</html>', xml: '</feed>', json: '}' };
  let isWriting = true;
  const reading = (async () => {
    while (isWriting) {
      for (const file of files) {
        const text = await read(given, file).catch(() => null);
        if (text === null || !text.trimEnd().endsWith(ENDS[path.extname(file).slice(1)] ?? '?'))
          broken.push(file);
      }
    }
  })();
  for (let round = 0; round < 5; round += 1) {
    await addRun(given, { notes: [`round ${round}`], ended: new Date().toISOString() });
    await writeFile(path.join(siteRoot(given.state), '.made-by'), 'another');
    await siteOf(given).update(NOW);
  }
  isWriting = false;
  await reading;
  expect(broken).toEqual([]);
});

describe('a fleet that no sweep had yet', () => {
  test('without a recipe', async () => {
    const given = {
      state: path.join(folder, 'state'),
      recipes: path.join(folder, 'recipes'),
      zone: 'ci.test',
    };
    await mkdir(given.recipes);
    const site = siteOf(given);
    await site.update(NOW);
    expect(await filesOf(given)).toEqual(['feed.xml', 'icon.svg', 'index.html', 'index.json', 'style.css']);
    const page = textIn(await read(given, 'index.html'));
    expect(page).toContain('No recipe is enrolled yet.');
    expect(page).toMatch(/Last sweep\s+none has ended yet/);
    expect(parseDocument('index.json', await read(given, 'index.json'))).toMatchObject({
      asOf: null,
      recipes: [],
    });
    expect(await deadLinks(given)).toEqual([]);
    expect((await site.update(NOW)).written).toBe(0);
  });

  test('with recipes that wait', async () => {
    const given = await stateOf({ weeks: 0 });
    await siteOf(given).update(NOW);
    expect(textIn(await read(given, 'index.html'))).toMatch(/8\s+never swept/);
    expect(textIn(await read(given, 'recipe/ghost/index.html'))).toContain('It has had none yet.');
    expect(await deadLinks(given)).toEqual([]);
    const index = parseDocument('index.json', await read(given, 'index.json'));
    expect(index.recipes.map(({ stands }) => stands)).toEqual(RECIPES.map(() => 'never swept'));
  });
});

test('index.json is the document that is promised', async () => {
  const given = await stateOf();
  const next = '2025-03-09T03:00:00.000Z';
  await siteOf(given).update({ holder: null, schedule: { next, paused: false, note: null } });
  const index = parseDocument('index.json', await read(given, 'index.json'));
  expect(index.nextSweep).toBe(next);
  expect(index.recipes.map(({ recipe }) => recipe).sort()).toEqual(RECIPES);
  const files = await filesOf(given);
  for (const { page, run } of index.recipes) {
    expect(files).toContain(`${page}index.html`);
    if (run !== null) expect(files).toContain(`${decodeURIComponent(run)}index.html`);
  }
});

test.each([undefined, SITE])('feeds have what Atom asks of them, at %s', async (url) => {
  const given = await stateOf();
  await createSite(configOf(given, url)).update(NOW);
  const feeds = (await filesOf(given)).filter((file) => file.endsWith('feed.xml'));
  expect(feeds).toHaveLength(1 + RECIPES.length);
  const ids = new Set<string>();
  let entries = 0;
  for (const file of feeds) {
    const { root, problems } = elementsOf(await read(given, file));
    expect(problems, file).toEqual([]);
    expect(root?.name).toBe('feed');
    const [head, ofEntries] = [root?.children ?? [], root?.children.filter(({ name }) => name === 'entry')];
    const once = (inside: Element[], name: string): string => {
      const found = inside.filter((one) => one.name === name);
      expect(found, `${file}: ${name}`).toHaveLength(1);
      return found[0]?.text.trim() ?? '';
    };
    ids.add(once(head, 'id'));
    expect(once(head, 'title')).not.toBe('');
    expect(once(head, 'updated')).toBe(new Date(once(head, 'updated')).toISOString());
    expect(head.find(({ name }) => name === 'author')?.children.map(({ name }) => name)).toEqual(['name']);
    const entryIds = (ofEntries ?? []).map(({ children }) => {
      expect(once(children, 'title')).not.toBe('');
      expect(once(children, 'updated')).toBe(new Date(once(children, 'updated')).toISOString());
      expect(once(children, 'summary')).not.toBe('');
      once(children, 'link');
      return once(children, 'id');
    });
    entries += entryIds.length;
    expect(new Set(entryIds).size).toBe(entryIds.length);
    for (const id of [...ids, ...entryIds]) expect(URL.canParse(id), id).toBe(true);
  }
  expect(ids.size).toBe(feeds.length);
  expect(entries).toBeGreaterThan(4);
});

interface Element {
  name: string;
  text: string;
  children: Element[];
}

/** The elements of a document, and what is not well-formed in it: enough of XML for what we write. */
function elementsOf(xml: string): { root: Element | undefined; problems: string[] } {
  const problems: string[] = [];
  const open: Element[] = [{ name: '', text: '', children: [] }];
  const body = xml.replace(/^<\?xml version="1\.0" encoding="utf-8"\?>\n/, '');
  if (body === xml) problems.push('no declaration');
  const tag = /<(\/?)([a-z]+)((?:\s+[a-z]+="[^"<]*")*)\s*(\/?)>/g;
  let at = 0;
  const said = (text: string): void => {
    if (/[<\p{Cs}\uFFFE\uFFFF]|[^\P{Cc}\n\t]/u.test(text)) problems.push(`not a text: ${text}`);
    if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(text)) problems.push(`no entity: ${text}`);
    const inner = open.at(-1);
    if (inner !== undefined) inner.text += text;
  };
  for (const match of body.matchAll(tag)) {
    const [whole, closes, name = '', attributes = '', isEmpty] = match;
    said(body.slice(at, match.index));
    if (/&(?!(?:amp|lt|gt|quot|#39);)/.test(attributes)) problems.push(`no entity: ${attributes}`);
    at = match.index + whole.length;
    if (closes !== '') {
      if (open.pop()?.name !== name) problems.push(`</${name}> closes another`);
      continue;
    }
    const element: Element = { name, text: '', children: [] };
    open.at(-1)?.children.push(element);
    if (isEmpty === '') open.push(element);
  }
  if (body.slice(at).trim() !== '') problems.push('something after its end');
  if (open.length !== 1) problems.push('something is not closed');
  return { root: open[0]?.children[0], problems };
}

test('each recipe has a badge with its words', async () => {
  const given = await stateOf();
  await siteOf(given).update(NOW);
  const { recipes } = parseDocument('index.json', await read(given, 'index.json'));
  for (const { recipe, canonical, level, redSince } of recipes) {
    const badge = await read(given, `badge/${recipe}.svg`);
    expect(badge).toMatch(/^<svg xmlns="http:\/\/www\.w3\.org\/2000\/svg"[^]*<\/svg>$/);
    const proven = canonical?.version ?? 'nothing proven';
    const words =
      redSince !== null
        ? `${proven}, red since ${redSince.slice(0, 10)}`
        : canonical === null || level === null
          ? proven
          : `${proven}, level ${level} of 5`;
    expect(textIn(badge)).toContain(words);
  }
});

test('the numbers below a plot are its points', async () => {
  const given = await stateOf({ weeks: 12, outcome: (_recipe, ago) => pass(`1.${12 - ago}.0+1.0.0`) });
  await siteOf(given).update(NOW);
  const page = await read(given, 'recipe/ghost/index.html');
  const [levels = '', times = ''] = [...page.matchAll(/<svg class="plot"[^]*?<\/svg>/g)].map(([svg]) => svg);
  const table = /<details>[^]*?<\/details>/.exec(page)?.[0] ?? '';
  const rows = [...table.matchAll(/<tr>([^]*?)<\/tr>/g)].slice(1).map(([, row = '']) =>
    row
      .split('<td>')
      .slice(1)
      .map((cell) => textIn(cell).trim()),
  );
  expect(rows).toHaveLength(12);
  const dots = (svg: string, kind: string): { x: number; y: number }[] =>
    [...svg.matchAll(new RegExp(`<circle class="${kind}" cx="([\\d.]+)" cy="([\\d.]+)"`, 'g'))].map(
      ([, x, y]) => ({ x: Number(x), y: Number(y) }),
    );
  // Oldest first, as they are drawn.
  const column = (at: number): number[] => rows.map((row) => secondsOf(row[at] ?? '')).reverse();
  for (const [svg, kind, at] of [
    [levels, 's0', 2],
    [times, 's0', 3],
    [times, 's4', 7],
  ] as const) {
    const [points, numbers] = [dots(svg, kind), column(at)];
    expect(points).toHaveLength(12);
    const ticks = [...svg.matchAll(/<text x="50" y="([\d.]+)" class="y">([^<]*)<\/text>/g)].map(
      ([, y, label = '']) => ({ y: Number(y), value: secondsOf(label) }),
    );
    const [low, high] = [ticks[0], ticks.at(-1)];
    if (low === undefined || high === undefined) throw new Error('an axis without ticks');
    const valueAt = (y: number): number =>
      low.value + ((y - low.y) / (high.y - low.y)) * (high.value - low.value);
    points.forEach(({ y }, place) => expect(valueAt(y)).toBeCloseTo(numbers[place] ?? NaN, -0.3));
    // Time goes to the right.
    expect(points.map(({ x }) => x)).toEqual(points.map(({ x }) => x).sort((a, b) => a - b));
  }
});

const pass = (promoted: string) => ({ kind: 'PASS', promoted }) as const;

/** As an axis or a table says it: `20s`, `1m30s`, or a number. */
function secondsOf(text: string): number {
  const {
    h = 0,
    m = 0,
    s = 0,
  } = Object.fromEntries(
    [...text.matchAll(/([\d.]+)\s*(h|m|s)/g)].map(([, number, unit]) => [unit, Number(number)]),
  );
  return /[hms]/.test(text) ? h * 3600 + m * 60 + s : Number(text);
}

test('texts whose lines stay lines are shown as they are', async () => {
  const given = await stateOf({
    outcome: (recipe, ago) =>
      recipe === 'gitea'
        ? usualOutcome(path.join(folder, 'state'))('cryptpad', ago)
        : pass(`1.${9 - ago}.0+1.0.0`),
  });
  await siteOf(given).update(NOW);
  const recipe = await read(given, 'recipe/ghost/index.html');
  expect(recipe).toContain(
    '<span class="removed">-    image: ghost:5.101</span>\n<span class="added">+    image: ghost:5.102</span>\n',
  );
  for (const file of (await filesOf(given)).filter((name) => name.endsWith('.html'))) {
    // A line end there would be shown.
    expect(await read(given, file), file).not.toMatch(/class="said">\s/);
  }
});

test('the credentials of an upstream are on no page', async () => {
  const given = await stateOf({ weeks: 1 });
  await writeFile(
    path.join(given.recipes, 'ghost', 'recipe.yml'),
    'upstream: https://reader:hunter2@git.example.org/coop-cloud/ghost.git\n',
  );
  await siteOf(given).update(NOW);
  const pages = await Promise.all((await filesOf(given)).map((file) => read(given, file)));
  expect(pages.filter((text) => /hunter2|reader/.test(text))).toEqual([]);
  expect(textIn(await read(given, 'recipe/ghost/index.html'))).toContain(
    'https://git.example.org/coop-cloud/ghost.git',
  );
});

test('an index that cannot be read is told of', async () => {
  const given = await stateOf({ weeks: 1 });
  await writeFile(path.join(given.state, 'index', 'ghost.jsonl'), 'no line of ours\n');
  await siteOf(given).update(NOW);
  expect(textIn(await read(given, 'index.html'))).toContain('1 of its lines cannot be read');
});
