import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import { rosterAfter } from '../../domain/environment.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createReports } from '../../host/store/reports.ts';
import { createMachine, SWEEP, type Machine } from './fake-machine.ts';

/** What a sweep says of the one before: which recipes are gone since, and what of the host is not as it was. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

vi.mock('../../host/prerequisites.ts', () => ({ checkPrerequisites: async () => [] }));

let folder: string;
let machine: Machine;
/** Those that have a folder. */
let recipes: string[];
let sweeps: number;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'last-sweep-'));
  recipes = ['ghost', 'gitea', 'mumble'];
  machine = createMachine(folder, recipes);
  sweeps = 0;
});
afterEach(() => rmSync(folder, { recursive: true }));

const enrolled = (): string[] =>
  recipes.filter((recipe) => (machine.settings.get(recipe)?.exception ?? null) === null);
const gone = (recipe: string) => recipes.splice(recipes.indexOf(recipe), 1);
const except = (recipe: string, exception: string) => machine.settings.set(recipe, { exception });

/** A sweep from its opening to its report; `wanted`: of these alone. */
async function sweep(wanted: string[] | null = null, attempts = 1) {
  sweeps += 1;
  const id = `sweep-${sweeps}`;
  const holder = { workflowId: id, runId: SWEEP.runId, what: 'sweep' };
  machine.open.add(id);
  const opening = { recipes: wanted ?? enrolled(), holder, all: wanted === null };
  let problems: string[] = [];
  for (let attempt = 1; attempt <= attempts; attempt += 1) {
    ({ problems } = await machine.attempt({ dead: false }, attempt, (steps) => steps.openSweep(opening)));
  }
  const closing = {
    recipes: opening.recipes,
    outcomes: {},
    unreached: [],
    startedMs: 0,
    note: null,
    problems,
  };
  const closed = await machine.attempt({ dead: false }, 9, (steps) =>
    steps.closeSweep({ holder, ...closing }),
  );
  machine.open.delete(id);
  const report = await createReports(machine.state).read(id);
  return { problems, closed, report };
}

const alerts = async () =>
  (await createAlerts(machine.state).open()).alerts.filter(({ kind }) => kind === 'recipe-gone');

describe('an enrolled set that is smaller than the last', () => {
  test('is a problem of each report, and an alert, until the recipe is back', async () => {
    expect(await sweep()).toMatchObject({ problems: [], report: { problems: [], notes: [] } });
    gone('gitea');
    const line = expect.stringMatching(
      /^gitea was swept before and has no folder in .* any more, since \S+Z: it has no canonical$/,
    );
    const first = await sweep();
    expect(first.report?.problems).toEqual([line]);
    expect(first.closed.problems).toEqual([line]);
    const [alert] = await alerts();
    expect(alert).toMatchObject({ subject: { is: 'recipe', name: 'gitea' }, message: line, ended: null });
    expect(alert?.advice).toContain('recipe-sweep canonical forget gitea --yes');
    // It is said again, of the same moment.
    machine.laterMs = 7 * 86_400_000;
    expect((await sweep()).report?.problems).toEqual(first.report?.problems);
    expect((await alerts()).map(({ since }) => since)).toEqual([alert?.since]);
    recipes.push('gitea');
    expect((await sweep()).report?.problems).toEqual([]);
    expect(await alerts()).toEqual([]);
  });

  test('is explained by an exception, which is mentioned once; then the folder may go', async () => {
    await sweep();
    except('ghost', 'nobody maintains it');
    gone('gitea');
    const notes = ['ghost was swept before and is not enrolled any more: nobody maintains it'];
    expect((await sweep()).report).toMatchObject({ notes, problems: [expect.stringContaining('gitea')] });
    expect((await alerts()).map(({ subject }) => subject.name)).toEqual(['gitea']);
    recipes.push('gitea');
    except('gitea', 'given up');
    expect((await sweep()).report).toMatchObject({
      notes: ['gitea was swept before and is not enrolled any more: given up'],
      problems: [],
    });
    expect(await alerts()).toEqual([]);
    gone('gitea');
    gone('ghost');
    expect((await sweep()).report).toMatchObject({ notes: [], problems: [] });
  });

  test('is not what a sweep of named recipes is, before or after', async () => {
    await sweep();
    expect((await sweep(['ghost'])).report?.problems).toEqual([]);
    gone('gitea');
    expect((await sweep(['ghost'])).report?.problems).toEqual([]);
    expect((await sweep()).report?.problems).toEqual([expect.stringContaining('gitea')]);
  });

  test('is said although the step that looked was begun again', async () => {
    await sweep();
    gone('gitea');
    except('ghost', 'later');
    expect((await sweep(null, 3)).report).toMatchObject({
      problems: [expect.stringContaining('gitea')],
      notes: [expect.stringContaining('ghost')],
    });
    expect(await alerts()).toHaveLength(1);
  });

  test('says which canonical is left', async () => {
    machine.upstreams.set('gitea', [{ version: '1.0.0+1', commit: 'a'.repeat(40), quality: 'good' }]);
    await sweep();
    const canonicals = path.join(machine.state, 'canonicals/gitea');
    mkdirSync(canonicals, { recursive: true });
    writeFileSync(path.join(canonicals, 'canonical.json'), '{');
    gone('gitea');
    expect((await sweep()).problems).toContainEqual(
      expect.stringMatching(/gitea was swept .*: its canonical cannot be read, and stays$/),
    );
  });

  test('cannot be told where the record of the last sweep cannot be read, which is a problem itself', async () => {
    await sweep();
    gone('gitea');
    writeFileSync(path.join(machine.state, 'last-sweep.json'), '{"schema":9}');
    expect((await sweep()).problems).toEqual([
      expect.stringMatching(/^not compared with the last sweep: .*last-sweep\.json: .*\(schema 9\)/),
    ]);
    // From then on there is one again.
    gone('mumble');
    expect((await sweep()).problems).toEqual([expect.stringContaining('mumble')]);
  });
});

describe('the environment of a sweep', () => {
  test('is compared with that of the sweep before, whichever recipes it took', async () => {
    const first = await sweep();
    expect(first.report?.environment).toEqual({
      fingerprint: '{"node":"v20"}',
      parts: { node: 'v20' },
      changed: null,
    });
    expect((await sweep(['ghost'])).report?.environment?.changed).toEqual([]);
    machine.environment = { node: 'v22', 'tool jq': 'jq-1.7' };
    const changed = ['node: v20 → v22', 'tool jq: jq-1.7, which was not there'];
    const { closed, report } = await sweep(null, 3);
    expect(report?.environment).toMatchObject({ parts: machine.environment, changed });
    expect(closed.environment).toBe(report?.environment?.fingerprint);
    expect((await sweep()).report?.environment?.changed).toEqual([]);
  });
});

test('a roster keeps since when a recipe is gone, also of one that was gone before', () => {
  const last = { enrolled: ['a', 'b', 'c'], gone: { z: '2025-03-02T03:00:00.000Z' } };
  const now = '2025-03-09T03:00:00.000Z';
  expect(rosterAfter(last, { enrolled: ['d', 'a'], exceptions: ['c'] }, now)).toEqual({
    enrolled: ['a', 'd'],
    gone: { b: now, z: '2025-03-02T03:00:00.000Z' },
    explained: ['c'],
  });
  expect(rosterAfter(last, { enrolled: ['a', 'b', 'c', 'z'], exceptions: [] }, now).gone).toEqual({});
  expect(rosterAfter({ enrolled: [], gone: {} }, { enrolled: ['a'], exceptions: ['b'] }, now)).toEqual({
    enrolled: ['a'],
    gone: {},
    explained: [],
  });
});
