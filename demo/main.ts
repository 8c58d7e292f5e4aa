import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { bold, green, red } from 'yoctocolors';
import { FORGE_IMAGE, SMALL_IMAGES } from '../setup/images/catalogue.ts';
import { setUp } from '../setup/main.ts';
import { workflowUrl } from '../host/config/temporal-ui.ts';
import { checkDisk, checkSite, type Check, type Expected } from './checks.ts';
import { pullRequests } from './pull-requests.ts';
import { DEMO_HOST, Interrupted, setStage, type Stage } from './stage.ts';
import { CommandStopped, EXIT } from '../client/failure.ts';
import { explain } from '../client/temporal-failure.ts';
import { followSweep, renderSweepEnd, reportOf } from '../client/follow.ts';
import { runCommand } from '../client/program.ts';
import { nearPath } from '../client/render/outcomes.ts';
import { processTerminal, safeLines } from '../client/render/terminal.ts';
import { ensureSchedules, requireSchedule, triggerSchedule } from '../client/schedule.ts';
import { stopSignal } from '../client/signals.ts';

/**
 * `npm run demo`: three weekly sweeps in a few minutes, on this machine's swarm, with releases that pass, that
 * never become healthy and that cannot be promoted. It ends well only if the files on disk say what was told.
 */

const terminal = processTerminal();
const say = terminal.out;
const cwd = process.cwd();

/** The first release of each recipe. */
const FIRST: Readonly<Record<string, string>> = {
  'custom-html': '1.0.0+1.22',
  'custom-html-tiny': '1.0.0+1.22',
  'notice-board': '1.0.0+1.22',
  unreleased: 'v1.0.0',
  webdis: '1.0.0+0.1.9',
};

interface Options {
  /** Mirrors are on a forge, and pull requests are told of. */
  forge: boolean;
  /** Apps are handed to the swarm by abra, for which a stand-in stands in. */
  abra: boolean;
  keep: boolean;
}

async function demo({ forge, abra, keep }: Options): Promise<number> {
  say(bold('Setting up what the demo needs'));
  const images = forge ? [...SMALL_IMAGES, FORGE_IMAGE] : SMALL_IMAGES;
  const ready = await setUp((line) => say(`  ${line}`), { images, tests: false });
  const stop = stopSignal();
  const stage = await setStage(Object.keys(FIRST), ready, { forge, abra });
  let failed: number | null = null;
  try {
    failed = (await story(stage, stop.signal)).filter(({ ok }) => !ok).length;
    if (keep) await untilStopped(stage, stop.signal);
  } catch (error) {
    if (!(error instanceof Interrupted)) throw error;
  } finally {
    const ours = `the worker, serve, the server${stage.forge ? ', the forge' : ''}`;
    say(`\nCleaning up: ${ours}, and everything deployed under ${stage.config.zone}`);
    await stage.strike();
    stop.dispose();
  }
  if (failed === null) return EXIT.interrupted;
  ending(stage, failed);
  return failed === 0 ? EXIT.ok : EXIT.red;
}

/** The three sweeps, and the pull requests where there is a forge; answers every check. */
async function story(stage: Stage, signal: AbortSignal): Promise<Check[]> {
  const { config, configFile, upstreams, server } = stage;
  say(`\nTemporal UI  ${config.temporal.ui}`);
  say(`report site  ${config.serve.url}`);
  if (config.deployer === 'abra') {
    say('Deploys by abra, in whose place a stand-in is run: fixtures/abra-stand-in/README.md');
  }
  await ensureSchedules(server.client.schedule, config);
  const checks: Check[] = [];

  const commits: Record<string, string> = {};
  for (const [recipe, version] of Object.entries(FIRST)) {
    commits[recipe] = (await upstreams.publish(recipe, version)).commit;
  }
  const at = (recipe: string, version: string): Expected['canonical'] => ({
    version,
    commit: commits[recipe] ?? '',
  });
  const first = (recipe: string): Expected['canonical'] => at(recipe, FIRST[recipe] ?? '');
  const skipped = (recipe: string): Expected => ({
    outcome: 'SKIP no-new-version',
    canonical: first(recipe),
  });
  const promoted = (recipe: string, version: string): Expected => ({
    outcome: `PASS (promoted ${version})`,
    canonical: at(recipe, version),
  });
  const neverReleased: Expected = { outcome: 'SKIP never-released', canonical: null };

  chapter(
    '1. Five recipes, no canonical yet. The schedule is triggered: each release is tested and promoted.',
  );
  checks.push(
    ...(await sweep(stage, signal, {
      'custom-html': promoted('custom-html', '1.0.0+1.22'),
      'custom-html-tiny': promoted('custom-html-tiny', '1.0.0+1.22'),
      'notice-board': promoted('notice-board', '1.0.0+1.22'),
      unreleased: neverReleased,
      webdis: promoted('webdis', '1.0.0+0.1.9'),
    })),
  );

  chapter('2. The same again, at once: nothing is new, so nothing is run.');
  checks.push(
    ...(await sweep(stage, signal, {
      'custom-html': skipped('custom-html'),
      'custom-html-tiny': skipped('custom-html-tiny'),
      'notice-board': skipped('notice-board'),
      unreleased: neverReleased,
      webdis: skipped('webdis'),
    })),
  );

  chapter('3. Upstreams publish.');
  const releases = [
    { recipe: 'webdis', version: '1.1.0+0.1.22', what: 'both images are newer; it works' },
    { recipe: 'custom-html-tiny', version: '1.1.0+1.26', what: 'it never becomes healthy' },
    {
      recipe: 'notice-board',
      version: '1.1.0+1.26',
      what: 'it passes cold, and fails on the data of its canonical',
    },
  ];
  const unchanged = { tiny: first('custom-html-tiny'), board: first('notice-board') };
  for (const { recipe, version, what } of releases) {
    commits[recipe] = (await upstreams.publish(recipe, version)).commit;
    say(`  ${recipe} ${version}: ${what}`);
  }
  say('\nrecipe-sweep plan says what a sweep would do now:\n');
  await runCommand(['--config', configFile, 'plan'], terminal);
  say('');
  checks.push(
    ...(await sweep(stage, signal, {
      'custom-html': skipped('custom-html'),
      'custom-html-tiny': { outcome: 'FAIL', canonical: unchanged.tiny },
      'notice-board': { outcome: 'GREEN-BUT-PROMOTE-FAILED', canonical: unchanged.board },
      unreleased: neverReleased,
      webdis: promoted('webdis', '1.1.0+0.1.22'),
    })),
  );

  if (stage.forge) {
    chapter('4. Two pull requests at the mirror of webdis, and a maintainer who asks for a test of each.');
    const { config, forge } = stage;
    checks.push(...shown(await pullRequests({ config, forge, signal, say }, at('webdis', '1.1.0+0.1.22'))));
  }
  return checks;
}

function chapter(title: string): void {
  say(`\n${bold(title)}\n`);
}

/** One sweep through the schedule, shown live, then checked against the files it left. */
async function sweep(
  { config, server }: Stage,
  signal: AbortSignal,
  expected: Readonly<Record<string, Expected>>,
): Promise<Check[]> {
  const name = await trigger(server.client.schedule, signal);
  const end = await followSweep({ server, sweep: name, terminal, signal });
  if ('interrupted' in end) throw new Interrupted();
  if ('failed' in end) {
    throw new CommandStopped(`${name} failed: ${end.failed}\ntemporal  ${workflowUrl(config, name)}`);
  }
  const report = await reportOf(config, name);
  say(`\n${await renderSweepEnd(config, end.result, report, terminal, cwd, true)}\n`);
  say('read back from disk, and from the report site:');
  const checks = await checkDisk(config, name, expected);
  return shown([...checks, await checkSite(config, name, expected)]);
}

function shown(checks: Check[]): Check[] {
  for (const { ok, says } of checks) say(`  ${ok ? green('ok    ') : red('NOT OK')}  ${says}`);
  return checks;
}

const SCHEDULE_IDLE_MS = 30_000;

/** The schedule learns a moment later than we that its last sweep has ended. */
async function trigger(
  schedules: Stage['server']['client']['schedule'],
  signal: AbortSignal,
): Promise<string> {
  const deadline = Date.now() + SCHEDULE_IDLE_MS;
  while (
    (await requireSchedule(schedules, DEMO_HOST)).info.runningActions.length > 0 &&
    Date.now() < deadline
  ) {
    if (signal.aborted) throw new Interrupted();
    await sleep(200);
  }
  if (signal.aborted) throw new Interrupted();
  const triggered = await triggerSchedule(schedules, DEMO_HOST);
  if ('started' in triggered) return triggered.started;
  throw new CommandStopped(`the schedule skipped its trigger: ${triggered.running ?? 'a sweep'} is running`);
}

function ending({ config, configFile, forge }: Stage, failed: number): void {
  const [state, file] = [nearPath(config.state, cwd), nearPath(configFile, cwd)];
  say(
    failed === 0
      ? green(`${forge ? 'Disk, site and forge' : 'Disk and site'} say what they should.`)
      : red(`${failed} of the checks are NOT OK; see above.`),
  );
  say(`reports      ${state}/sweeps/*/report.json, or: npx recipe-sweep results --list --config ${file}`);
  say(`canonicals   ${state}/canonicals/*/canonical.json`);
  say(`report site  ${config.serve.url}, open it again with: npx recipe-sweep serve --config ${file}`);
  say(`Temporal UI  ${config.temporal.ui}, open it again with: npx recipe-sweep dev --config ${file}`);
}

async function untilStopped({ config, forge }: Stage, signal: AbortSignal): Promise<void> {
  const up = [config.serve.url, config.temporal.ui, ...(forge ? [forge.url] : [])].join(', ');
  say(`\nKept up: ${up}. Ctrl-C ends the demo and cleans up.`);
  // The timer keeps the process alive; a listener on a signal does not.
  await sleep(2 ** 31 - 1, undefined, { signal }).catch(() => undefined);
}

try {
  const { values } = parseArgs({
    options: {
      forge: { type: 'boolean', default: false },
      abra: { type: 'boolean', default: false },
      keep: { type: 'boolean', default: false },
    },
  });
  process.exitCode = await demo(values);
} catch (error) {
  terminal.err(`demo: ${safeLines(explain(error))}`);
  process.exitCode = EXIT.none;
}
