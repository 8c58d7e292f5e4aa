import { createHash } from 'node:crypto';
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { messageOf } from '../../domain/fault.ts';
import { outcomeTitle } from '../../domain/outcome.ts';
import { createBackups } from '../../host/data/backups.ts';
import { createSnapshots } from '../../host/data/snapshots.ts';
import { readResolved } from '../../host/deploy/resolved-images.ts';
import { createPulledImages } from '../../host/engine/pulled-images.ts';
import { createLedger } from '../../host/git/ledger.ts';
import { createAttempts } from '../../host/lock/attempts.ts';
import { createHostLock } from '../../host/lock/host-lock.ts';
import { installationOf } from '../../host/lock/installation.ts';
import { processRunner } from '../../host/machine/process.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createRelayed } from '../../host/store/relayed.ts';
import { createServices } from '../../host/store/services.ts';
import { createSeenComments } from '../../host/store/seen-comments.ts';
import { createStore } from '../../host/store/store.ts';

/**
 * What earlier versions left on disk, and today's: state folders of real sweeps, of which test/fixtures/records/README.md
 * says who wrote them. All of it is read, as what it meant; what a newer version will write is refused.
 */

const STORED = path.resolve(import.meta.dirname, '../fixtures/records');
const HOST_ROOM = path.resolve(import.meta.dirname, '../../host');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'records-'));
});
afterEach(() => rm(folder, { recursive: true }));

/** A copy, since readers may write. */
async function stateOf(name: string): Promise<string> {
  const state = path.join(folder, name);
  await cp(path.join(STORED, name), state, { recursive: true });
  return state;
}

async function filesOf(root: string): Promise<string[]> {
  const entries = await readdir(root, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => path.relative(root, path.join(parentPath, name)))
    .sort();
}

const commands = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
const now = (): Date => new Date('2026-11-30T00:00:00Z');

/** Of what is stored; a record without its host's zone is read in any. */
async function zoneOf(state: string): Promise<string> {
  const files = await filesOf(state);
  const report = files.find((file) => file.endsWith('/report.json'));
  if (report !== undefined)
    return (JSON.parse(await readFile(path.join(state, report), 'utf8')) as { zone: string }).zone;
  const record = files.find((file) => file.endsWith('/canonical.json')) ?? '';
  const { domain } = JSON.parse(await readFile(path.join(state, record), 'utf8')) as { domain: string };
  return domain.slice(domain.indexOf('.') + 1);
}

interface Kind {
  /** Where it stands, seen from the state folder. */
  files: RegExp;
  /** The file of host/ that has its schema. */
  source: string;
  /** What was ever written, the latest first. */
  schemas: number[];
  /** Reads it as the product does; throws what is wrong with it, also where that is a line among others. */
  read(state: string, file: string, parts: string[]): Promise<unknown>;
  /** What reading it answers at least, as its own documents say: "nothing was there" is something else. */
  expected(written: readonly Written[], parts: string[]): unknown;
}

/** What a document has of these depends on its kind. */
interface Written {
  alerts: object;
  commit: string;
  holder: object | null;
  id: string;
  images: object;
  message: string;
  recipes: unknown[];
  run: string;
  since: object;
  spent: unknown[];
  stack: string;
  started: string;
  step: string;
  sweep: string;
  tag: string;
  target: string;
  version: string;
  volumes: unknown[];
}

const like = (part: object): unknown => expect.objectContaining(part);
const eachLike = (written: readonly Written[], part: (one: Written) => object): unknown[] =>
  written.map((one) => like(part(one)));
const asMany = (list: readonly unknown[]): unknown[] => list.map(() => expect.anything());

/** In place of a document, of which no sample is without one. */
const NOTHING = {} as Written;
const namesOf = (images: object): string[] => {
  const names = Object.keys(images);
  expect(names).not.toEqual([]);
  return names;
};

const thrown = (problem: string | null | undefined): void => {
  if (typeof problem === 'string') throw new Error(problem);
};

const KINDS: Record<string, Kind> = {
  canonical: {
    files: /^canonicals\/[^/]+\/canonical\.json$/,
    source: 'store/canonicals.ts',
    schemas: [4, 3, 2, 1],
    read: async (state, _file, [, recipe = '']) =>
      createCanonicals({ state, zone: await zoneOf(state) }).read(recipe),
    expected: ([{ version, commit, run } = NOTHING], [, recipe]) => like({ recipe, version, commit, run }),
  },
  history: {
    files: /^canonicals\/[^/]+\/history\.jsonl$/,
    source: 'store/canonicals.ts',
    schemas: [],
    read: async (state, _file, [, recipe = '']) => createCanonicals({ state, zone: '' }).history(recipe),
    expected: (written, [, recipe]) =>
      eachLike(written, ({ version, commit }) => ({ recipe, version, commit })),
  },
  attached: {
    files: /^canonicals\/[^/]+\/attached\.json$/,
    source: 'store/canonicals.ts',
    schemas: [1],
    read: async (state, _file, [, recipe = '']) => createCanonicals({ state, zone: '' }).isAttached(recipe),
    expected: () => true,
  },
  snapshot: {
    files: /^canonicals\/[^/]+\/snapshots\/[^/]+\/manifest\.json$/,
    source: 'data/snapshots.ts',
    schemas: [1],
    async read(state, file, [, , , id = '']) {
      const text = await readFile(path.join(state, file), 'utf8');
      const sha256 = createHash('sha256').update(text).digest('hex');
      const ref = { id, sha256, bytes: 0 };
      return createSnapshots(commands).manifest(path.join(state, file, '../..'), ref);
    },
    expected: ([{ volumes } = NOTHING], [, recipe, , id]) => like({ recipe, id, volumes: asMany(volumes) }),
  },
  backup: {
    files: /^backups\/[^/]+\/manifest\.json$/,
    source: 'data/backup-manifest.ts',
    schemas: [1],
    read: async (state, _file, [, stack = '']) =>
      createBackups({
        state,
        commands,
        signal: new AbortController().signal,
        guard: async () => undefined,
        report: () => undefined,
      }).verified(stack),
    expected: ([{ volumes } = NOTHING], [, stack]) => like({ stack, volumes: asMany(volumes) }),
  },
  report: {
    files: /^sweeps\/[^/]+\/report\.json$/,
    source: 'store/reports.ts',
    schemas: [5, 4, 3, 2, 1],
    read: async (state, _file, [, sweep = '']) => createStore(state).reports.read(sweep),
    expected: ([{ sweep, recipes } = NOTHING]) => like({ sweep, recipes: asMany(recipes) }),
  },
  result: {
    files: /^runs\/[^/]+\/[^/]+\/result\.json$/,
    source: 'store/result-schema.ts',
    schemas: [4, 3, 2, 1],
    read: async (state, _file, [, asker = '', recipe = '']) =>
      createStore(state).results.read(`${asker}/${recipe}`),
    expected: ([{ started } = NOTHING], [, id, recipe]) => like({ recipe, started, asked: like({ id }) }),
  },
  index: {
    files: /^index\/[^/]+\.jsonl$/,
    source: 'store/run-index.ts',
    schemas: [2, 1],
    async read(state, _file, [, name = '']) {
      const { runs, problem } = await createStore(state).index.of(path.basename(name, '.jsonl'));
      thrown(problem);
      return runs;
    },
    // The latest first.
    expected: (written) => eachLike(written, ({ run, started }) => ({ run, started })).toReversed(),
  },
  'last sweep': {
    files: /^last-sweep\.json$/,
    source: 'store/reports.ts',
    schemas: [1],
    read: async (state) => createStore(state).reports.last(),
    expected: ([{ sweep } = NOTHING]) => like({ sweep, environment: like({}), roster: like({}) }),
  },
  unreached: {
    files: /^unreached\.json$/,
    source: 'store/reports.ts',
    schemas: [1],
    read: async (state) => createStore(state).reports.unreached(),
    // No demo leaves a recipe out: one that has some is below.
    expected: ([{ since } = NOTHING]) => new Map(Object.entries(since)),
  },
  alert: {
    files: /^alerts\/[^/]+\.json$/,
    source: 'store/alerts.ts',
    schemas: [2, 1],
    async read(state) {
      const { alerts, unreadable } = await createStore(state).alerts.open();
      thrown(unreadable[0]);
      return alerts;
    },
    expected: (written) =>
      expect.arrayContaining(eachLike(written, ({ message, run }) => ({ message, run }))),
  },
  relayed: {
    files: /^alerts\/relayed\/[^/]+\.json$/,
    source: 'store/relayed.ts',
    schemas: [1],
    async read(state, file) {
      const found = await createRelayed(state).read(path.basename(file, '.json'));
      return { target: found?.target, since: found?.since, alerts: Object.keys(found?.alerts ?? {}) };
    },
    expected: ([{ target, since, alerts } = NOTHING]) => ({ target, since, alerts: namesOf(alerts) }),
  },
  ledger: {
    files: /^ledger\/[^/]+\.jsonl$/,
    source: 'git/ledger.ts',
    schemas: [2, 1],
    read: async (state, _file, [, name = '']) => [
      ...(await createLedger(state).read(path.basename(name, '.jsonl'))).keys(),
    ],
    expected: (written) => [...new Set(written.map(({ tag }) => tag))],
  },
  images: {
    files: /^images\.json$/,
    source: 'engine/pulled-images.ts',
    schemas: [1],
    read: async (state) => [...(await createPulledImages(state, now).list()).keys()],
    expected: ([{ images } = NOTHING]) => namesOf(images),
  },
  'resolved images': {
    files: /^runs\/[^/]+\/[^/]+\/resolved-images\.json$/,
    source: 'deploy/resolved-images.ts',
    schemas: [1],
    read: async (state, file) => [...(await readResolved(path.join(state, file))).keys()],
    expected: ([{ images } = NOTHING]) => namesOf(images),
  },
  'times of a run': {
    files: /^runs\/[^/]+\/[^/]+\/time\.jsonl$/,
    source: 'store/times.ts',
    schemas: [1],
    read: async (state, _file, [, asker = '', recipe = '']) =>
      createStore(state).times.read(`${asker}/${recipe}`),
    expected: (written) => written.flatMap(({ spent }) => spent),
  },
  lock: {
    files: /^lock\/\d+\.json$/,
    source: 'lock/host-lock.ts',
    schemas: [1],
    async read(state, file) {
      // As it was read when it was the latest.
      for (const later of await readdir(path.join(state, 'lock'))) {
        if (later > path.basename(file)) await rm(path.join(state, 'lock', later));
      }
      return createHostLock({ state, host: '', isOpen: async () => true, now }).current();
    },
    expected: ([{ holder, step } = NOTHING]) => holder && { ...holder, step },
  },
  attempt: {
    files: /^attempts\/\d+\.json$/,
    source: 'lock/attempts.ts',
    schemas: [1],
    // Whoever enters ends those who came before, and so reads who they are; these have ended.
    async read(state) {
      await (await createAttempts(state).enter(999, 'a test', () => undefined)).leave();
      return readdir(path.join(state, 'attempts'));
    },
    // One that was not read stays.
    expected: () => [],
  },
  'seen comments': {
    files: /^serve\/seen\.json$/,
    source: 'store/seen-comments.ts',
    schemas: [1],
    read: async (state) => [...(await createSeenComments(state).read()).keys()],
    expected: ([{ recipes } = NOTHING]) => namesOf(recipes),
  },
  'last-good release of a service': {
    files: /^services\/[^/]+\/last-good\.json$/,
    source: 'store/services.ts',
    schemas: [1],
    read: async (state, _file, [, service = '']) =>
      createServices({ state, zone: await zoneOf(state) }).lastGood(service),
    expected: ([{ version, commit, images } = NOTHING], [, service]) =>
      like({ service, version, commit, images }),
  },
  'change of a service': {
    files: /^services\/[^/]+\/underway\.json$/,
    source: 'store/services.ts',
    schemas: [1],
    read: async (state, _file, [, service = '']) => createServices({ state, zone: '' }).underway(service),
    expected: ([{ run } = NOTHING]) => like({ run, snapshot: like({}), unhealthy: like({}) }),
  },
  'orders for a service': {
    files: /^services\/[^/]+\/orders\.json$/,
    source: 'store/services.ts',
    schemas: [1],
    read: async (state, _file, [, service = '']) => createServices({ state, zone: '' }).orders(service),
    expected: () => like({ approved: like({}), rolledBack: like({}) }),
  },
  'history of a service': {
    files: /^services\/[^/]+\/history\.jsonl$/,
    source: 'store/services.ts',
    schemas: [1],
    read: async (state, _file, [, service = '']) => createServices({ state, zone: '' }).history(service),
    expected: (written) => eachLike(written, ({ version }) => ({ version })),
  },
  installation: {
    files: /^installation\.json$/,
    source: 'lock/installation.ts',
    schemas: [1],
    read: async (state) => installationOf(state),
    expected: ([{ id } = NOTHING]) => id,
  },
};

/** What nobody reads any more: a history that was given up, and runs from when they stood beside their report, which has their results. */
const UNREAD = /^canonicals\/[^/]+\/history-\w+\.jsonl$|^sweeps\/[^/]+\/[^/]+\/|\.tar$/;

const states = (await readdir(STORED, { withFileTypes: true })).flatMap((entry) =>
  entry.isDirectory() ? [entry.name] : [],
);
const samples = (
  await Promise.all(
    states.map(async (state) => (await filesOf(path.join(STORED, state))).map((file) => ({ state, file }))),
  )
).flat();
const kindOf = (file: string): Kind | undefined => Object.values(KINDS).find(({ files }) => files.test(file));

/** A file's documents: one, or one on each line. */
async function writtenIn(file: string): Promise<Written[]> {
  const text = await readFile(file, 'utf8');
  const documents = file.endsWith('.jsonl') ? text.trimEnd().split('\n') : [text];
  return documents.map((document) => JSON.parse(document) as Written);
}

test.each(states)('each record in %s is read', async (name) => {
  const state = await stateOf(name);
  const those = samples.filter((sample) => sample.state === name && !UNREAD.test(sample.file));
  // The latest first, since to read an earlier lock the later ones are taken away.
  for (const { file } of those.toReversed()) {
    const kind = kindOf(file);
    expect(kind, file).toBeDefined();
    const written = await writtenIn(path.join(state, file));
    const read = await kind?.read(state, file, file.split('/'));
    expect(read, file).toEqual(kind?.expected(written, file.split('/')));
  }
});

test('a canonical whose data was dropped is one, and its history has both', async () => {
  const state = await stateOf('5');
  const canonicals = createCanonicals({ state, zone: await zoneOf(state) });
  const record = await canonicals.read('webdis');
  expect(record).toMatchObject({
    version: '1.1.0+0.1.22',
    snapshot: null,
    dropped: '2026-11-29T19:40:00.000Z',
  });
  const history = await canonicals.history('webdis');
  expect(history).toEqual([expect.objectContaining({ dropped: null }), record]);
});

test('recipes that were not reached are read, of which no sample has any', async () => {
  const state = await stateOf('4');
  const file = path.join(state, 'unreached.json');
  const [record] = await writtenIn(file);
  const since = { ghost: '2026-11-22T03:00:00.000Z' };
  await writeFile(file, JSON.stringify({ ...record, since }));
  expect(await createStore(state).reports.unreached()).toEqual(new Map(Object.entries(since)));
});

/** The demo's last sweep, which each of them has, and what it proved. */
const OUTCOMES = {
  'custom-html': 'SKIP no-new-version',
  'custom-html-tiny': 'FAIL',
  'notice-board': 'GREEN-BUT-PROMOTE-FAILED',
  unreleased: 'SKIP never-released',
  webdis: 'PASS (promoted 1.1.0+0.1.22)',
};
const PROVEN = {
  'custom-html': ['1.0.0+1.22'],
  'custom-html-tiny': ['1.0.0+1.22'],
  'notice-board': ['1.0.0+1.22'],
  webdis: ['1.0.0+0.1.9', '1.1.0+0.1.22'],
};

test.each([
  // Nobody asked for levels then, and records said nothing of their domain.
  ['1', { levels: [null, null, null, null, null], isNamed: false, proven: PROVEN }],
  ['2', { levels: [null, 1, 3, null, 3], isNamed: true, proven: PROVEN }],
  ['3', { levels: [null, 1, 3, null, 3], isNamed: true, proven: PROVEN }],
  // Its canonical was given up afterwards, and proven anew.
  ['4', { levels: [null, 1, 3, null, 3], isNamed: true, proven: { ...PROVEN, webdis: ['1.1.0+0.1.22'] } }],
])('%s means what it meant', async (name, { levels, isNamed, proven }) => {
  const state = await stateOf(name);
  const zone = await zoneOf(state);
  const { reports, index, alerts } = createStore(state);
  const { reports: all, unreadable } = await reports.all();
  expect(unreadable).toEqual([]);
  const report = all.at(-1);
  expect(report).toMatchObject({ schema: 5, host: 'demo', zone, verdict: 'red', note: null, problems: [] });
  const results = report?.recipes ?? [];
  expect(Object.fromEntries(results.map(({ recipe, outcome }) => [recipe, outcomeTitle(outcome)]))).toEqual(
    OUTCOMES,
  );
  expect(results.map(({ level }) => level)).toEqual(levels);
  for (const { asked, workflow, recipe, leftovers, notes } of results) {
    expect(asked).toEqual({ by: 'sweep', id: report?.sweep });
    expect(workflow).toMatchObject({ id: `${report?.sweep}/${recipe}` });
    expect({ leftovers, notes }).toEqual({ leftovers: null, notes: [] });
  }
  expect(await alerts.open()).toMatchObject({
    alerts: [
      { schema: 2, kind: 'promote-failed', subject: { is: 'recipe', name: 'notice-board' }, ended: null },
    ],
    unreadable: [],
  });
  const canonicals = createCanonicals({ state, zone });
  expect(await canonicals.list()).toEqual(Object.keys(proven));
  for (const [recipe, versions] of Object.entries(proven)) {
    const [record, history] = [await canonicals.read(recipe), await canonicals.history(recipe)];
    expect(history.map(({ version }) => version)).toEqual(versions);
    expect(history.at(-1)).toEqual(record);
    expect(record).toMatchObject(
      isNamed ? { domain: `warm-${recipe}.${zone}`, env: {} } : { domain: null, env: null },
    );
    const ledger = await createLedger(state).read(recipe);
    expect([...ledger.keys()]).toEqual(expect.arrayContaining(versions));
    const snapshot = record?.snapshot ?? { id: '', sha256: '', bytes: 0 };
    const manifest = await createSnapshots(commands).manifest(canonicals.snapshotsFolder(recipe), snapshot);
    expect(manifest).toMatchObject({ recipe, id: snapshot.id });
    expect((await index.of(recipe)).runs.length).toBe(name === '4' ? (recipe === 'webdis' ? 4 : 3) : 0);
  }
});

/** A record with a number in place of its schema's; of lines, the last one's. */
async function renumber(file: string, schema: number): Promise<void> {
  const text = await readFile(file, 'utf8');
  const isLines = file.endsWith('.jsonl');
  const lines = isLines ? text.trimEnd().split('\n') : [text];
  const last = JSON.parse(lines.at(-1) ?? '') as object;
  await writeFile(file, `${[...lines.slice(0, -1), JSON.stringify({ ...last, schema })].join('\n')}\n`);
}

describe('what a newer version wrote is refused', () => {
  const refused = Object.entries(KINDS).filter(([name]) => name !== 'attached' && name !== 'index');
  const sampleOf = ({ files }: Kind): { state: string; file: string } => {
    const found = samples.filter(({ file }) => files.test(file)).at(-1);
    if (found === undefined) throw new Error(`no sample of ${files}`);
    return found;
  };

  test.each(refused)('%s', async (_name, kind) => {
    const { state: name, file } = sampleOf(kind);
    const state = await stateOf(name);
    await renumber(path.join(state, file), 99);
    const why = await kind.read(state, file, file.split('/')).then(() => 'it was read', messageOf);
    expect(why).toContain(path.join(state, file));
    expect(why).toContain('a newer recipe-sweep wrote it (schema 99); install that one again');
  });

  test('attached, which says that the data is in use whatever stands in it', async () => {
    const { state: name, file } = sampleOf(KINDS['attached'] as Kind);
    const state = await stateOf(name);
    await renumber(path.join(state, file), 99);
    expect(await KINDS['attached']?.read(state, file, file.split('/'))).toBe(true);
  });

  test('index, which the next sweep writes anew', async () => {
    const { state: name, file } = sampleOf(KINDS['index'] as Kind);
    const state = await stateOf(name);
    await renumber(path.join(state, file), 99);
    const why = await KINDS['index']?.read(state, file, file.split('/')).then(() => 'it was read', messageOf);
    expect(why).toContain('1 of its lines cannot be read; the next sweep that opens writes it anew');
  });
});

const ascending = (a: number, b: number): number => a - b;

/** The numbers of schemas that a source names, in its order. */
function numbersIn(text: string): number[] {
  return [...text.matchAll(/schema: z\.literal\(([^)]*)\)/g)].flatMap(([, numbers = '']) =>
    (numbers.match(/\d+/g) ?? []).map(Number),
  );
}

describe('there is a sample', () => {
  test('of each schema that a file of host/ names: whoever writes a new one stores one', async () => {
    const named = new Map<string, number[]>();
    for (const file of await filesOf(HOST_ROOM)) {
      const numbers = numbersIn(await readFile(path.join(HOST_ROOM, file), 'utf8'));
      if (numbers.length > 0) named.set(file, numbers.toSorted(ascending));
    }
    const known = new Map<string, number[]>();
    for (const { source, schemas } of Object.values(KINDS)) {
      known.set(source, [...(known.get(source) ?? []), ...schemas].sort(ascending));
    }
    expect(Object.fromEntries(named)).toEqual(Object.fromEntries(known));
  });

  test.each(Object.entries(KINDS))('of %s, in each schema', async (_name, { files, schemas }) => {
    const found = new Set<number>();
    for (const { state, file } of samples) {
      const nested = files === KINDS['result']?.files && file.endsWith('/report.json');
      if (!files.test(file) && !nested) continue;
      const text = await readFile(path.join(STORED, state, file), 'utf8');
      const documents = file.endsWith('.jsonl') ? text.trimEnd().split('\n') : [text];
      for (const document of documents) {
        const { schema, recipes } = JSON.parse(document) as {
          schema: number;
          recipes?: { schema: number }[];
        };
        for (const one of nested ? (recipes ?? []) : [{ schema }]) found.add(one.schema);
      }
    }
    expect([...found].sort(ascending)).toEqual(expect.arrayContaining([...schemas].sort(ascending)));
  });
});
