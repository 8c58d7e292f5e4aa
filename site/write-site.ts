import { createHash, randomBytes } from 'node:crypto';
import type { Stats } from 'node:fs';
import { mkdir, open, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../domain/fault.ts';
import { outcomeEvidence } from '../domain/outcome.ts';
import { endOf } from '../domain/printable.ts';
import { givenResult, type RecipeResult } from '../domain/report.ts';
import type { IndexedRun } from '../domain/run-history.ts';
import { fleetPage as siteAddress } from '../domain/site-url.ts';
import { standingOf, tellingRun } from '../domain/standing.ts';
import type { TimeSpent } from '../domain/time-spent.ts';
import { workflowUrl } from '../host/config/temporal-ui.ts';
import { noneIfMissing, textIfThere, tryJson } from '../host/machine/durable-file.ts';
import { createCanonicals } from '../host/store/canonicals.ts';
import { CHANGES, runsRoot, siteRoot } from '../host/store/places.ts';
import { createReports } from '../host/store/reports.ts';
import { createResults } from '../host/store/results.ts';
import { badge } from './badge.ts';
import {
  evidenceIn,
  readEvidence,
  stepFile,
  stepOf,
  stepPage,
  type EvidenceFile,
  type StepPage,
} from './evidence.ts';
import { feed } from './feed.ts';
import { fleetPage, type EvidenceLink } from './fleet-page.ts';
import { siteIndex } from './index-json.ts';
import type { FleetSweep } from '../host/fleet.ts';
import {
  createSiteReader,
  runFolder,
  runParts,
  sweepFolder,
  SWEEPS_SHOWN,
  type Now,
  type SiteConfig,
  type SiteData,
  type SiteRecipe,
} from './read.ts';
import { recipePage, type RecipeView, type SeenRun } from './recipe-page.ts';
import { hrefOfFile, runPage } from './run-page.ts';
import { ICON, STYLE } from './style.ts';
import { sweepPage } from './sweep-page.ts';

/**
 * The report site, `<state>/site`: plain files, which any web server shows. Each of them is replaced in one step, and what
 * others lead to is written before them, so that whoever reads meanwhile finds whole pages and no dead link. It is only ever
 * what the results say: whoever throws it away finds it written anew.
 */

export interface Site {
  /** Writes what changed since the last time; all that is missing or of another version the first time. Answers how many files that were, and what could not be shown. */
  update(now: Now, signal?: AbortSignal): Promise<{ written: number; problems: string[] }>;
}

/** What is being written stands here until it is whole; web servers show no such folder. */
const UNFINISHED = '.unfinished';
/** Says by which pages the site was written. */
const MADE_BY = '.made-by';
/** After so long every run is looked at again, since evidence is thrown away at times. */
const LOOK_AGAIN_MS = 6 * 60 * 60_000;
const AT_ONCE = 16;
/** The end of the file to open first, on the run's page. */
const EXCERPT = { lines: 25, characters: 4_000 };

export function createSite(config: SiteConfig, clock: () => number = () => performance.now()): Site {
  const { state, host } = config;
  const root = siteRoot(state);
  const reader = createSiteReader(config);
  const results = createResults(state);
  const canonicals = createCanonicals(config);
  const reports = createReports(state);
  const temporal = (workflowId: string): string => workflowUrl(config, workflowId);
  const base = config.serve.url === undefined ? null : siteAddress(config.serve.url);

  /** What this process wrote last, by file: its sum. */
  const sums = new Map<string, string>();
  /** Folders that are there. */
  const folders = new Set<string>();
  /** Runs whose pages are as they are to be, and which of their files those show; null where nobody asked since. */
  const shown = new Map<string, readonly EvidenceFile[] | null>();
  let pagesFrom = '';
  /** By recipe, what its page was made of. */
  const pagesOf = new Map<string, { seen: string; standing: string; runs: readonly IndexedRun[] }>();
  const sweepsOf = new Map<string, string>();
  /** When every run was looked at; null where that is still to be done. */
  let lookedMs: number | null = null;
  /** Whether there are pages of another version, or none. */
  let isOfOther = true;
  const madeBy = sumOf(samplePages(host, temporal));
  let written = 0;
  /** Runs whose result cannot be read, and why: told of until it can. */
  const unread = new Map<string, string>();

  async function put(file: string, content: string | Buffer): Promise<void> {
    const sum = sumOf(content);
    if (sums.get(file) === sum) return;
    await replace(file, content);
    sums.set(file, sum);
  }

  /** The same of a file that is written once, and of which nobody keeps a sum. */
  async function replace(file: string, content: string | Buffer): Promise<void> {
    const whole = path.join(root, file);
    const unfinished = path.join(root, UNFINISHED, randomBytes(8).toString('hex'));
    const writing = await open(unfinished, 'wx', 0o644);
    try {
      await writing.writeFile(content);
    } finally {
      await writing.close();
    }
    const folder = path.dirname(whole);
    if (!folders.has(folder)) await mkdir(folder, { recursive: true });
    folders.add(folder);
    try {
      await rename(unfinished, whole);
    } catch (error) {
      // Somebody removes it meanwhile; the next time finds that.
      folders.delete(folder);
      await rm(unfinished, { force: true });
      // Without the name of what was unfinished, so that the same trouble is told in the same words.
      throw new Error(`${whole}: ${(error as NodeJS.ErrnoException).code ?? messageOf(error)}`, {
        cause: error,
      });
    }
    written += 1;
  }

  /** Begins anew: what is unfinished is of what failed, what somebody removed comes back, and pages of another version are written again. */
  async function begin(): Promise<void> {
    sums.clear();
    folders.clear();
    await rm(path.join(root, UNFINISHED), { recursive: true, force: true });
    await mkdir(path.join(root, UNFINISHED), { recursive: true });
    isOfOther = (await textIfThere(path.join(root, MADE_BY))) !== madeBy;
  }

  /** Makes the pages of a run what they are to be, if they are not. */
  async function showRun(run: IndexedRun): Promise<void> {
    if (shown.has(run.run)) return;
    const parts = runParts(run);
    const folder = path.join(runsRoot(state), ...parts);
    const [there, page] = await Promise.all([
      statOrNull(folder),
      statOrNull(path.join(root, 'runs', ...parts, 'index.html')),
    ]);
    // Its folder changes with what is put there and thrown away; a result that is written again replaces the first.
    const since = Math.max(there?.mtimeMs ?? 0, Date.parse(run.ended));
    const isCurrent = !isOfOther && page !== null && page.size > 0 && page.mtimeMs > since;
    if (isCurrent) {
      shown.set(run.run, null);
      return;
    }
    const { files, written: these } = await writeRun(run, parts, folder);
    if (page !== null) await removeOthers(parts, these);
    shown.set(run.run, files);
  }

  /** Answers the files that are shown, and what was written of them, seen from the run's folder on the site. */
  async function writeRun(
    run: IndexedRun,
    parts: readonly [who: string, recipe: string],
    folder: string,
  ): Promise<{ files: readonly EvidenceFile[]; written: ReadonlySet<string> }> {
    const { files: listed, leftOut } = await evidenceIn(folder);
    const result = await resultOf(run);
    const first = firstFile(result, folder);
    const files: EvidenceFile[] = [];
    const steps = new Map<string, StepPage['files'][number][]>();
    let excerpt: string | null = null;
    for (const one of listed) {
      const read = await readEvidence(folder, one.parts);
      if (read === null) continue;
      const file = { ...one, isPicture: read.is === 'picture' };
      files.push(file);
      if (read.is === 'picture') {
        await replace(path.join('runs', ...parts, ...one.parts), read.bytes);
        continue;
      }
      if (read.is === 'text' && one.parts.join('/') === first) excerpt = endLines(read.text);
      const step = stepOf(file);
      steps.set(step, [...(steps.get(step) ?? []), { file, shown: read }]);
    }
    for (const [step, ofStep] of steps) {
      const content = stepPage({ host, step, files: ofStep, folder, run: parts });
      await replace(path.join('runs', ...parts, stepFile(step)), content);
    }
    const content = runPage(host, { result, folder, files, leftOut, excerpt, temporal });
    await replace(path.join('runs', ...parts, 'index.html'), content);
    const pages = [...steps.keys()].map(stepFile);
    const pictures = files.filter(({ isPicture }) => isPicture).map((file) => path.join(...file.parts));
    return { files, written: new Set(['index.html', ...pages, ...pictures]) };
  }

  /** The files that a run's pages show, which it has. */
  async function filesOf(run: IndexedRun): Promise<readonly EvidenceFile[]> {
    const known = shown.get(run.run);
    if (known !== undefined && known !== null) return known;
    const parts = runParts(run);
    const files: EvidenceFile[] = [];
    for (const one of (await evidenceIn(path.join(runsRoot(state), ...parts))).files) {
      const picture = path.join(root, 'runs', ...parts, ...one.parts);
      const isPicture = one.parts.at(-1)?.endsWith('.png') === true && (await statOrNull(picture)) !== null;
      files.push({ ...one, isPicture });
    }
    shown.set(run.run, files);
    return files;
  }

  /** A run's result; what the index has of it where that cannot be read. */
  async function resultOf(run: IndexedRun): Promise<RecipeResult> {
    try {
      const read = await results.read(run.run);
      unread.delete(run.run);
      if (read !== null) return read;
    } catch (error) {
      unread.set(run.run, messageOf(error));
    }
    const [, recipe] = runParts(run);
    const notes = ['the result itself is not there, or cannot be read: this is what the index has of it'];
    const { outcome, level, started, ended, asked } = run;
    return { ...givenResult(asked.id, recipe, outcome, { started, ended }), asked, level, notes };
  }

  async function recipeView(recipe: SiteRecipe): Promise<RecipeView> {
    const { runs, canonical, recipe: name } = recipe;
    const history = await canonicals.history(name).catch(() => []);
    const last = recipe.standing.verdict;
    const tested = last === null ? null : { ...(await seenRun(last)), result: await resultOf(last) };
    const before = canonical === null ? undefined : runs.find(({ run }) => run === canonical.run);
    const proven = before === undefined ? null : await seenRun(before);
    const textOf = async (...parts: string[]): Promise<string | null> => {
      if (tested === null) return null;
      const read = await readEvidence(tested.folder, parts).catch(() => null);
      return read?.is === 'text' && read.text.trim() !== '' ? read.text : null;
    };
    const [diff, notes] = [
      await textOf(CHANGES.folder, CHANGES.diff),
      await textOf(CHANGES.folder, CHANGES.notes),
    ];
    const imagesFile = tested?.files.findLast(({ parts }) => parts.at(-1) === 'images.json');
    const images = imagesFile === undefined ? null : imagesIn(await textOf(...imagesFile.parts));
    return { ...recipe, history, tested, proven, changes: { diff, notes }, images };
  }

  async function seenRun(run: IndexedRun): Promise<SeenRun> {
    return { run, folder: path.join(runsRoot(state), ...runParts(run)), files: await filesOf(run) };
  }

  async function writeRecipe(recipe: SiteRecipe, data: SiteData): Promise<void> {
    const { recipe: name } = recipe;
    for (const run of recipe.runs) if (runFolder(run, recipe, data) !== null) await showRun(run);
    const folder = path.join('recipe', name);
    await put(path.join('badge', `${name}.svg`), badge(recipe));
    const about = { base, title: `${name} on ${host}`, folder: `recipe/${name}/` };
    await put(path.join(folder, 'feed.xml'), feed(data, [recipe], about));
    await put(path.join(folder, 'index.html'), recipePage(host, await recipeView(recipe), data, temporal));
  }

  async function writeSweep(
    sweep: FleetSweep,
    isTold: boolean,
    recipes: ReadonlyMap<string, SiteRecipe>,
    data: SiteData,
  ): Promise<void> {
    const { id } = sweep;
    // Its report comes last, and changes nothing else of it.
    const reportSeen = isTold ? await statOrNull(reports.fileOf(id)) : null;
    const seen = [...sweep.runs.values()].map(({ run, ended }) => `${run} ${ended}`).join('\n');
    const sum = sumOf(`${reportSeen?.mtimeMs} ${seen}`);
    if (sweepsOf.get(id) === sum) return;
    const report = reportSeen === null ? null : await reports.read(id).catch(() => null);
    await put(
      path.join('sweeps', sweepFolder(id), 'index.html'),
      sweepPage(host, sweep, recipes, report, data, temporal),
    );
    sweepsOf.set(id, sum);
  }

  /** Where the evidence of the runs that the fleet's page tells of is shown, by run. */
  async function evidenceOf(recipes: readonly SiteRecipe[]): Promise<ReadonlyMap<string, EvidenceLink>> {
    const links = new Map<string, EvidenceLink>();
    for (const { standing } of recipes) {
      const run = tellingRun(standing);
      const evidence = run === null ? null : outcomeEvidence(run.outcome);
      if (run === null || evidence === null) continue;
      const folder = path.join(runsRoot(state), ...runParts(run));
      // What cannot be listed has no link; its recipe's pages say why.
      const files = await filesOf(run).catch(() => []);
      const href = hrefOfFile(evidence, { folder, files });
      if (href !== null) links.set(run.run, { href, name: path.relative(folder, evidence) });
    }
    return links;
  }

  /** Removes the pages of runs that are gone, or ended once more, from what is known; and those that are gone from the site. */
  async function forget(before: readonly IndexedRun[], after: readonly IndexedRun[]): Promise<void> {
    const ended = new Map(after.map((run) => [run.run, run.ended]));
    for (const run of before) {
      if (ended.get(run.run) !== run.ended) shown.delete(run.run);
      if (ended.get(run.run) !== run.ended) unread.delete(run.run);
      if (!ended.has(run.run))
        await rm(path.join(root, 'runs', ...runParts(run)), { recursive: true, force: true });
      folders.clear();
    }
  }

  /** Removes the pages of sweeps that no run is of any more. */
  async function forgetSweeps(sweeps: readonly FleetSweep[]): Promise<void> {
    const there = new Set(sweeps.map(({ id }) => id));
    for (const id of sweepsOf.keys()) {
      if (there.has(id)) continue;
      await rm(path.join(root, 'sweeps', sweepFolder(id)), { recursive: true, force: true });
      folders.clear();
      sweepsOf.delete(id);
      sums.delete(path.join('sweeps', sweepFolder(id), 'index.html'));
    }
  }

  /** Removes what is of no recipe, run or sweep any more. */
  async function prune(recipes: readonly SiteRecipe[], sweeps: readonly FleetSweep[]): Promise<void> {
    const names = new Set(recipes.map(({ recipe }) => recipe));
    await keepOnly('recipe', names);
    await keepOnly('badge', new Set([...names].map((name) => `${name}.svg`)));
    await keepOnly('sweeps', new Set(sweeps.map(({ id }) => sweepFolder(id))));
    const runs = new Map<string, Set<string>>();
    for (const one of recipes) {
      for (const run of one.runs) {
        if (runFolder(run, one, { pagesFrom }) === null) continue;
        const [who, recipe] = runParts(run);
        runs.set(who, (runs.get(who) ?? new Set()).add(recipe));
      }
    }
    await keepOnly('runs', new Set(runs.keys()));
    for (const [who, ofThese] of runs) await keepOnly(path.join('runs', who), ofThese);
  }

  async function keepOnly(folder: string, names: ReadonlySet<string>): Promise<void> {
    for (const name of await readdir(path.join(root, folder)).catch(noneIfMissing)) {
      if (names.has(name)) continue;
      await rm(path.join(root, folder, name), { recursive: true, force: true });
      folders.clear();
    }
  }

  /** Removes from a run's folder on the site what it shows no more, since it is gone. */
  async function removeOthers(parts: readonly string[], kept: ReadonlySet<string>): Promise<void> {
    const folder = path.join(root, 'runs', ...parts);
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      const file = path.join(entry.parentPath, entry.name);
      if (entry.isFile() && !kept.has(path.relative(folder, file))) await rm(file, { force: true });
    }
  }

  return {
    async update(now, signal) {
      written = 0;
      const isThere = (await statOrNull(path.join(root, 'index.html'))) !== null;
      if (!isThere || lookedMs === null || clock() - lookedMs > LOOK_AGAIN_MS) {
        await begin();
        lookedMs = null;
        shown.clear();
        pagesOf.clear();
        sweepsOf.clear();
        unread.clear();
      }
      // The same until all is looked at again, so that no page leads to one that is gone by then.
      if (lookedMs === null) pagesFrom = new Date(Date.now() - config.retention.evidence).toISOString();
      const data = await reader.read(now, pagesFrom);
      const { host: _, recipes, unswept, sweeps, asOf } = data;
      const all = [
        ...recipes,
        ...unswept.map((one) => ({ ...one, standing: standingOf(one.recipe, [], asOf ?? '') })),
      ];
      const failed: string[] = [];
      /** What cannot be written holds up nothing else. */
      const contained = async (what: string, body: () => Promise<void>): Promise<void> =>
        body().catch((error: unknown) => void failed.push(`${what}: ${messageOf(error)}`));
      await put('style.css', STYLE);
      await put('icon.svg', ICON);
      await eachOf(all, async (recipe) => {
        signal?.throwIfAborted();
        const { recipe: name, seen, runs } = recipe;
        const standing = JSON.stringify(recipe.standing);
        const before = pagesOf.get(name);
        if (before?.seen === seen && before.standing === standing) return;
        await forget(before?.runs ?? [], runs);
        await contained(`the pages of ${name}`, async () => {
          await writeRecipe(recipe, data);
          pagesOf.set(name, { seen, standing, runs });
        });
      });
      const byName = new Map(recipes.map((one) => [one.recipe, one]));
      await forgetSweeps(sweeps);
      await eachOf(sweeps, async (sweep, at) => {
        signal?.throwIfAborted();
        await contained(`the page of ${sweep.id}`, () => writeSweep(sweep, at < SWEEPS_SHOWN, byName, data));
      });
      if (lookedMs === null) await prune(all, sweeps);
      await put('feed.xml', feed(data, recipes, { base, title: `What changed on ${host}`, folder: '' }));
      await put('index.json', `${JSON.stringify(siteIndex(data), null, 1)}\n`);
      const problems = [...unread.values(), ...failed].sort();
      const told = { ...data, problems: [...data.problems, ...problems] };
      await put('index.html', fleetPage(told, { evidence: await evidenceOf(recipes), temporal }));
      // Last: a site that is half of another version is no site of this one.
      if (isOfOther && failed.length === 0) {
        await replace(MADE_BY, madeBy);
        isOfOther = false;
      }
      lookedMs ??= clock();
      return { written, problems };
    },
  };
}

/** So many at once, each in its place. */
async function eachOf<T>(all: readonly T[], body: (one: T, at: number) => Promise<void>): Promise<void> {
  const waiting = all.entries();
  const worker = async (): Promise<void> => {
    for (const [at, one] of waiting) await body(one, at);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
}

function sumOf(content: string | Buffer): string {
  return createHash('sha256').update(content).digest('base64');
}

async function statOrNull(file: string): Promise<Stats | null> {
  return stat(file).catch(() => null);
}

/** The file that the result says to open next, seen from the run's folder; null where there is none. */
function firstFile({ outcome }: RecipeResult, folder: string): string | null {
  const evidence = outcomeEvidence(outcome);
  return evidence === null ? null : path.relative(folder, evidence);
}

function endLines(text: string): string {
  return endOf(text.trimEnd().split('\n').slice(-EXCERPT.lines).join('\n'), EXCERPT.characters);
}

const keptImages = z.record(z.string(), z.object({ image: z.string(), digests: z.array(z.string()) }));

function imagesIn(text: string | null): RecipeView['images'] {
  return text === null ? null : (keptImages.safeParse(tryJson(text)).data ?? null);
}

/** Pages that have in them all that pages can have: those of a version that makes others look otherwise are others. */
function samplePages(host: string, temporal: (workflowId: string) => string): string {
  const at = '2025-03-02T03:00:00.000Z';
  const evidence = '/runs/sweep/ghost/step/app.log';
  const release = { version: '1.0.0+1.0.0', commit: 'c' };
  const spentMs: TimeSpent = {
    app: 1e6,
    pulling: 2e6,
    scripts: 3e6,
    data: 4e6,
    mirrorSync: 5e6,
    turn: 6e6,
    retries: 7e6,
    own: 8e6,
  };
  const asked: RecipeResult[] = [
    { ...givenResult('sweep', 'ghost', { kind: 'PASS', promoted: '1' }, { started: at, ended: at }) },
    {
      ...givenResult(
        'sweep',
        'ghost',
        { kind: 'FAIL', version: '1', tier: 'upgrade', why: 'w', evidence, canonical: '0' },
        { started: at, ended: at },
      ),
      release,
      spentMs,
      level: 1,
      leftovers: 'l',
      notes: ['n'],
      lint: [{ rule: 'r', file: 'f', line: 1, what: 'w' }],
      tiers: [
        { tier: 'install', result: 'pass', ms: 1, note: 'n' },
        { tier: 'upgrade', result: 'fail', reason: 'r', evidence, ms: 1 },
        { tier: 'backup', result: 'skipped', reason: 'r' },
        { tier: 'restore', result: 'not reached' },
      ],
    },
    {
      ...givenResult(
        'sweep',
        'ghost',
        { kind: 'GREEN-BUT-PROMOTE-FAILED', version: '1', why: 'w', evidence, canonical: null },
        { started: at, ended: at },
      ),
      asked: { by: 'test', id: 'test' },
      test: { mode: 'cold', wanted: 'quick', why: 'w', pullRequest: 1, head: release, base: release },
      lint: [],
    },
  ];
  const files: EvidenceFile[] = [
    { parts: ['step', 'app.log'], bytes: 1, isPicture: false },
    { parts: ['step', 'screenshot.png'], bytes: 1, isPicture: true },
  ];
  const view = { folder: '/runs/sweep/ghost', files, leftOut: 1, excerpt: 'e', temporal };
  const shown = [{ is: 'text', text: 't', cut: true } as const, { is: 'other' } as const];
  const ofStep = shown.flatMap((one) => files.map((file) => ({ file, shown: one })));
  const step = stepPage({
    host,
    step: 'step',
    files: ofStep,
    folder: '/runs/sweep/ghost',
    run: ['sweep', 'ghost'],
  });
  return [...asked.map((result) => runPage(host, { ...view, result })), step].join('');
}
