import { stat } from 'node:fs/promises';
import path from 'node:path';
import type { Command } from 'commander';
import Dockerode from 'dockerode';
import { green, red } from 'yoctocolors';
import type { AlertKind } from '../../domain/alert.ts';
import { environmentChanges } from '../../domain/environment.ts';
import { dataToDrop, diskText, estimate, estimateText, shortDisks } from '../../domain/disk.ts';
import { quotableLine } from '../../domain/printable.ts';
import { createForge } from '../../forge/gitea.ts';
import { readConfig, type Config } from '../../host/config/config.ts';
import { forgeAccess, mirrorOnForge, refuseTwoLogins } from '../../host/config/forge-access.ts';
import { canServe, webhookSecret } from '../../host/config/webhook-secret.ts';
import { textIfThere } from '../../host/machine/durable-file.ts';
import { createAlerts } from '../../host/store/alerts.ts';
import { createCanonicals } from '../../host/store/canonicals.ts';
import { createPulledImages } from '../../host/engine/pulled-images.ts';
import { createRecipes, strayLine } from '../../host/recipes/recipes.ts';
import { declaredEnvironment } from '../../host/config/environment.ts';
import { lookAtEnvironment } from '../../host/fingerprint.ts';
import { processRunner } from '../../host/machine/process.ts';
import { lackOf, toolsOfSwept } from '../../host/recipe-tools.ts';
import { knownRoom, lookAtDisks } from '../../host/room.ts';
import { siteRoot } from '../../host/store/places.ts';
import { createReports } from '../../host/store/reports.ts';
import { createServices } from '../../host/store/services.ts';
import { createRunIndex } from '../../host/store/run-index.ts';
import { isOfThisHost, reachableByContainers } from '../../host/exposure.ts';
import { checkPrerequisites } from '../../host/prerequisites.ts';
import { otherZones } from '../../host/engine/ownership.ts';
import { createThings } from '../../host/engine/things.ts';
import { installationOf } from '../../host/lock/installation.ts';
import { foreignFound, foreignWorkers, pollingWorkers } from '../../worker/pollers.ts';
import { reconcileScheduleIdOf, scheduleIdOf, taskQueueOf } from '../../workflows/protocol.ts';
import { checkAlertTargets } from '../alert-targets.ts';
import { connect, type TemporalServer } from '../connect.ts';
import { creationCommand, lookAtNamespace, missingSearchAttributes, RETENTION_DAYS } from '../namespace.ts';
import { EXIT } from '../failure.ts';
import { explain } from '../temporal-failure.ts';
import { formatTime } from '../../domain/quantities.ts';
import { renderTable } from '../render/table.ts';
import { oneLine } from '../render/terminal.ts';
import { describeSchedule } from '../schedule.ts';
import { SERVE_UNIT, serveUnitHere, UNIT, unitHere } from '../service/unit-here.ts';
import { configFileOf, printJson, type Session } from '../session.ts';

/** One thing that sweeping needs: found, or how to get it. */
type Finding = Awaited<ReturnType<typeof checkPrerequisites>>[number];

export function addDoctorCommand(program: Command, session: Session): void {
  program
    .command('doctor')
    .description('everything a sweep needs: found, or how to get it')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      const configFile = await configFileOf(session, command);
      const config = await readConfig(configFile);
      const findings = [
        ...(await checkPrerequisites(config)),
        await checkRecipes(config),
        await checkRecipeTools(config),
        await checkEnvironment(config),
        await checkCanonicals(config),
        await checkRoom(config),
        await checkReports(config),
        await checkAlerts(config),
        await checkAlertTargets(config, new Date()),
        await checkZones(config),
        await checkUnit(config, configFile),
        ...(await checkTemporal(config)),
        await checkForge(config),
        await checkSite(config),
        await checkServe(config),
        await checkExposure(config),
      ];
      if (options.json) printJson(session, findings);
      else session.terminal.out(renderFindings(findings));
      if (findings.some(({ ok }) => !ok)) session.exitStatus = EXIT.red;
    });
}

async function checkRecipes({ recipes }: Config): Promise<Finding> {
  const how = `recipe-sweep recipe check lists it; until it is mended, that recipe's outcome is ERROR infrastructure`;
  try {
    const folder = createRecipes(recipes);
    const all = await folder.all();
    const strays = (await folder.strays()).map((stray) => strayLine(recipes, stray));
    const wrong = all.flatMap(({ problem }) => (problem === null ? [] : [problem]));
    if (wrong.length === 0 && strays.length > 0) {
      const aside = 'until then each report says so';
      return { name: 'recipes', ok: false, found: strays.join('\n'), how: aside };
    }
    wrong.push(...strays);
    if (wrong.length > 0) return { name: 'recipes', ok: false, found: wrong.join('\n'), how };
    const enrolled = all.filter(({ exception }) => exception === null).length;
    return {
      name: 'recipes',
      ok: enrolled > 0,
      found: `${enrolled} enrolled in ${recipes}`,
      how: enrolled > 0 ? '' : 'recipe-sweep recipe new <name> --upstream <url>',
    };
  } catch (error) {
    return { name: 'recipes', ok: false, found: explain(error), how: 'set "recipes" in the configuration' };
  }
}

/** Of every recipe that is swept, and of what is deployed beside it; what is wrong with a folder says checkRecipes. */
async function checkRecipeTools({ recipes, path: searchPath }: Config): Promise<Finding> {
  const name = 'tools of recipes';
  const tools = await toolsOfSwept(createRecipes(recipes), searchPath);
  const lack = lackOf(tools, searchPath);
  if (lack !== null) {
    const how = 'until then the outcome of each recipe that needs it is ERROR infrastructure';
    return { name, ok: false, found: lack, how };
  }
  const there = tools.map(({ file, by }) => `${file} for ${by.join(', ')}`);
  return { name, ok: true, found: there.join('; ') || 'none beside those that every host has', how: '' };
}

/** What a worker that is started from here would find, compared with what the last sweep found. */
async function checkEnvironment(config: Config): Promise<Finding> {
  const { fingerprint, parts } = await lookAtEnvironment({
    config,
    commands: processRunner({ environment: declaredEnvironment(config) }),
    recipes: createRecipes(config.recipes),
    services: createServices(config),
  });
  const last = await createReports(config.state)
    .last()
    .catch(() => null);
  const before = last?.environment ?? null;
  const changed = before === null ? [] : environmentChanges(before.parts, parts);
  const compared =
    before === null
      ? 'no sweep to compare it with'
      : changed.length === 0
        ? 'as in the last sweep'
        : `not as in the last sweep: ${changed.join('; ')}`;
  return { name: 'environment', ok: true, found: `${fingerprint}, ${compared}`, how: '' };
}

async function checkCanonicals(config: Config): Promise<Finding> {
  const canonicals = createCanonicals(config);
  const wrong: string[] = [];
  let there = 0;
  for (const recipe of await canonicals.list()) {
    try {
      if (await canonicals.read(recipe)) there += 1;
    } catch (error) {
      wrong.push(explain(error));
    }
  }
  return wrong.length === 0
    ? { name: 'canonicals', ok: true, found: `${there} on record`, how: '' }
    : {
        name: 'canonicals',
        ok: false,
        found: wrong.join('\n'),
        how: "until it is mended, that recipe's outcome is ERROR infrastructure and its data stays as it is",
      };
}

/** What the next sweep takes, and what it would do where that is not there. */
async function checkRoom(config: Config): Promise<Finding> {
  const name = 'room for a sweep';
  const { headroom } = config.limits;
  try {
    const records = {
      canonicals: createCanonicals(config),
      recipes: createRecipes(config.recipes),
      services: createServices(config),
    };
    const question = { disks: await lookAtDisks(config), headroom, ...(await knownRoom(records, null)) };
    const next = estimate(question.swept, question.known);
    const seen = question.disks.map((disk) => diskText(disk, headroom, next));
    const found = [...seen, estimateText(next)].filter((part) => part !== '').join('; ');
    if (shortDisks(question.disks, headroom, next).length === 0) return { name, ok: true, found, how: '' };
    const names = dataToDrop(question).drop.map(({ recipe }) => recipe);
    const would =
      names.length === 0
        ? 'the data of canonicals would not make enough'
        : `else the next sweep removes images that nobody needs and, where that is not enough, drops the data of ${names.join(', ')}`;
    return { name, ok: false, found, how: `free some space; ${would}` };
  } catch (error) {
    return { name, ok: false, found: explain(error), how: 'mend what it names' };
  }
}

/** What sweeps left for people, as far as it can be read. */
async function checkReports({ state }: Config): Promise<Finding> {
  const name = 'reports';
  const how = 'put back a good copy, or move the file away; no sweep minds';
  try {
    const files = createReports(state);
    const index = createRunIndex(state);
    const { reports, unreadable } = await files.all();
    for (const recipe of await index.recipes()) {
      const { problem } = await index.of(recipe);
      if (problem !== null) unreadable.push(problem);
    }
    const images = createPulledImages(state, () => new Date());
    for (const read of [() => files.unreached(), () => files.last(), () => images.list()]) {
      await read().catch((error: unknown) => unreadable.push(explain(error)));
    }
    return unreadable.length > 0
      ? { name, ok: false, found: unreadable.join('\n'), how }
      : { name, ok: true, found: `${reports.length} in ${state}`, how: '' };
  } catch (error) {
    return { name, ok: false, found: explain(error), how };
  }
}

/** Kinds that say something of the host; the others are about a release, or a canonical of its own command. */
const OF_THE_HOST = new Set<AlertKind>(['left-behind', 'not-reaped', 'recipe-gone', 'sweep-problems']);

async function checkAlerts({ state }: Config): Promise<Finding> {
  const name = 'left behind';
  const how = 'put back a good copy, or move the file away';
  try {
    const { alerts, unreadable } = await createAlerts(state).open();
    const told = alerts.filter(({ kind }) => OF_THE_HOST.has(kind));
    const lines = told.map(
      ({ file, since, message }) => `${file}: since ${formatTime(new Date(since))}: ${message}`,
    );
    const advice = [...new Set(told.map((alert) => alert.advice)), ...(unreadable.length > 0 ? [how] : [])];
    const found = [...lines, ...unreadable];
    return found.length > 0
      ? { name, ok: false, found: found.join('\n'), how: advice.join('; ') }
      : { name, ok: true, found: 'nothing that an alert tells of', how: '' };
  } catch (error) {
    return { name, ok: false, found: explain(error), how };
  }
}

/** Another installation is no mistake, but its records cannot be seen from here. */
async function checkZones({ docker: { socket }, zone }: Config): Promise<Finding> {
  const docker = new Dockerode({ socketPath: socket, timeout: 10_000 });
  const { signal } = new AbortController();
  const found = await otherZones(createThings({ docker, signal, guard: async () => undefined }), zone)
    .then((zones) =>
      zones.length === 0
        ? 'none on this engine'
        : `${zones.join(', ')} on this engine: what was pulled for either stays, whatever its age`,
    )
    .catch(() => 'the engine does not say');
  return { name: 'other zones', ok: true, found, how: '' };
}

/** A unit that somebody changed is no mistake, but may be an older version's. */
async function checkUnit(config: Config, configFile: string): Promise<Finding> {
  const name = 'systemd unit';
  const there = await textIfThere(UNIT).catch(explain);
  if (there === '') return { name, ok: true, found: 'none; the worker is started otherwise', how: '' };
  const wanted = await unitHere(config, configFile).then(({ unit }) => unit, explain);
  const serve = await textIfThere(SERVE_UNIT).catch(explain);
  const served = serve === '' ? null : await serveUnitHere(config, configFile).catch(explain);
  const compared = [
    compare(UNIT, there, wanted),
    ...(serve === '' ? [] : [compare(SERVE_UNIT, serve, served)]),
  ];
  return { name, ok: true, found: compared.join('\n'), how: '' };
}

function compare(file: string, there: string, wanted: string | null): string {
  return there === wanted
    ? `${file}, as install writes it`
    : `${file} is not what install writes: recipe-sweep install --write shows the difference`;
}

async function checkTemporal(config: Config): Promise<Finding[]> {
  const { address, namespace } = config.temporal;
  const name = 'temporal server';
  let server: TemporalServer;
  try {
    server = await connect(config);
  } catch (error) {
    return [{ name, ok: false, found: 'no connection', how: explain(error) }];
  }
  try {
    const { retentionDays, capabilities } = await lookAtNamespace(server);
    const answers = { name, ok: true, found: `answers at ${address}, namespace ${namespace}`, how: '' };
    return [
      answers,
      checkRetention(retentionDays),
      checkUpdates(capabilities?.syncUpdate),
      await checkSearchAttributes(server),
      await checkWorker(server, config),
      await checkSchedule(server, config),
    ];
  } catch (error) {
    const how = `is there a namespace ${namespace}? ${creationCommand(namespace)}`;
    return [{ name, ok: false, found: `${address}: ${explain(error)}`, how }];
  } finally {
    await server.close();
  }
}

const FORGE_MS = 20_000;

/** Mirrors need none; where there is one, it must take the token. */
async function checkForge(config: Config): Promise<Finding> {
  const name = 'forge';
  const how =
    'look at "forge" in the configuration (docs/pull-requests.md); until then nothing of a mirror on it is synced, and no pull request tested';
  try {
    const access = await forgeAccess(config);
    if (access === null) {
      return { name, ok: true, found: 'none; nobody asks for tests but operators', how: '' };
    }
    refuseTwoLogins(config);
    const { url } = access;
    if (mirrorOnForge(config, 'recipe') === null) {
      const found = `the mirrors are not at ${url}`;
      return { name, ok: false, found, how: `write "mirrors" as in ${url}/mirrors/{recipe}.git` };
    }
    const signal = AbortSignal.timeout(FORGE_MS);
    const login = await createForge({ ...access, signal }).login();
    return { name, ok: true, found: `${url} takes the token, of ${login}`, how: '' };
  } catch (error) {
    return { name, ok: false, found: explain(error), how };
  }
}

const HEALTH_MS = 10_000;

/** The worker writes the site seconds after an outcome; anew, all of it, within minutes. */
const SITE_MS = 10 * 60_000;

/** Whether the report site is as new as the last sweep. */
async function checkSite({ state }: Config): Promise<Finding> {
  const name = 'report site';
  const first = path.join(siteRoot(state), 'index.html');
  const how = 'the worker writes it: its log says why not';
  try {
    const last = (await createReports(state).all()).reports.find(({ recipes }) => recipes.length > 0);
    const ended = last === undefined ? null : new Date(last.ended);
    const written = await stat(first).then(({ mtime }) => mtime, nullIfMissing);
    const found = written === null ? `${first} is not there` : `${first}, written ${formatTime(written)}`;
    const isDue = ended !== null && Date.now() - ended.getTime() > SITE_MS;
    if (!isDue || (written !== null && written > ended))
      return {
        name,
        ok: true,
        found: written === null ? `${found} yet: a worker writes it` : found,
        how: '',
      };
    return { name, ok: false, found: `${found}; the last sweep ended ${formatTime(ended)}`, how };
  } catch (error) {
    return { name, ok: false, found: explain(error), how };
  }
}

function nullIfMissing(error: NodeJS.ErrnoException): null {
  if (error.code !== 'ENOENT') throw error;
  return null;
}

/** Shows the site, and takes the webhook of a forge. It says itself how it is; no sweep needs it. */
async function checkServe(config: Config): Promise<Finding> {
  const name = 'serve';
  const { listen } = config.serve;
  if (!canServe(config)) {
    const found =
      'does not start: with "forge" it needs serve.webhookSecretFile; tests of pull requests are asked for by recipe-sweep test alone';
    return { name, ok: true, found, how: '' };
  }
  if (config.forge !== undefined) {
    try {
      await webhookSecret(config.serve);
    } catch (error) {
      return { name, ok: false, found: explain(error), how: 'serve does not start without it' };
    }
  }
  // What listens everywhere is asked here.
  const url = `http://${listen.replace(/^(?:0\.0\.0\.0|\[::\]):/, 'localhost:')}/healthz`;
  const lack = await lackOfServe(url);
  if (lack === null) return { name, ok: true, found: `answers at ${url}`, how: '' };
  const isWanted = config.forge !== undefined || (await textIfThere(SERVE_UNIT).catch(explain)) !== '';
  if (isWanted) return { name, ok: false, ...lack };
  return {
    name,
    ok: true,
    found: `${lack.found}; no sweep needs it`,
    how: '',
  };
}

/** Null where it is well. */
async function lackOfServe(url: string): Promise<Pick<Finding, 'found' | 'how'> | null> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(HEALTH_MS) });
    const said = await answer.text();
    if (answer.ok) return null;
    const how =
      answer.status === 503
        ? 'its log says more'
        : 'that is not serve: look at "serve.listen", end the other one';
    return { found: `${url} answers ${answer.status}: ${quotableLine(said.slice(0, 200))}`, how };
  } catch {
    return { found: `nothing answers at ${url}`, how: 'recipe-sweep serve, or its systemd unit' };
  }
}

/** Of the Temporal server's history, matching, internal frontend and worker services, which ask nobody who calls. */
const INTERNAL_PORTS = [7234, 7235, 7236, 7239];

/** Whoever reaches an unprotected Temporal may start workflows, and the containers under test are strangers. */
async function checkExposure({ temporal }: Config): Promise<Finding> {
  const name = 'out of reach of containers';
  const { tls, apiKeyFile, address, ui } = temporal;
  const asksWho = tls?.cert !== undefined || apiKeyFile !== undefined;
  const server = new URL(`http://${address}`);
  if (!isOfThisHost(server.hostname)) {
    return asksWho
      ? { name, ok: true, found: `the Temporal server at ${address} asks who calls`, how: '' }
      : {
          name,
          ok: false,
          found: `containers of recipes reach ${address} as this host does, and it asks nobody who calls`,
          how: 'have the server ask who calls (temporal.tls with cert and key, temporal.apiKeyFile)',
        };
  }
  const page = new URL(ui);
  const asked = [...(asksWho ? [] : [server]), ...(isOfThisHost(page.hostname) ? [page] : [])];
  const ports = [...asked.map(({ port }) => Number(port)).filter((port) => port > 0), ...INTERNAL_PORTS];
  const reached = await reachableByContainers(ports);
  return reached.length === 0
    ? { name, ok: true, found: `nothing answers on ports ${ports.join(', ')} beside loopback`, how: '' }
    : {
        name,
        ok: false,
        found: `containers of recipes reach ${reached.join(', ')}`,
        how: 'bind the Temporal server and its UI to 127.0.0.1, or close the ports for what comes from docker_gwbridge, or have the server ask who calls (temporal.tls with cert and key, temporal.apiKeyFile)',
      };
}

/** A workflow that the server has forgotten can neither be looked at nor replayed. */
function checkRetention(days: number): Finding {
  const found = `closed workflows are kept for ${Math.floor(days)} days`;
  const name = 'retention';
  return days >= RETENTION_DAYS
    ? { name, ok: true, found, how: '' }
    : { name, ok: false, found, how: `recipe-sweep namespace ensure makes it ${RETENTION_DAYS}` };
}

/** What a server's dynamic configuration can take away of what we use. */
function checkUpdates(areAllowed: boolean | null | undefined): Finding {
  const name = 'dynamic config';
  switch (areAllowed) {
    case true:
      return { name, ok: true, found: 'allows updates, by which a sweep is steered', how: '' };
    case false:
      return {
        name,
        ok: false,
        found: 'does not allow updates, by which a sweep is steered',
        how: "set frontend.enableUpdateWorkflowExecution to true in the Temporal server's dynamic configuration",
      };
    default:
      return { name, ok: true, found: 'the server does not say', how: '' };
  }
}

async function checkSearchAttributes(server: TemporalServer): Promise<Finding> {
  const missing = await missingSearchAttributes(server);
  return missing.length === 0
    ? { name: 'search attributes', ok: true, found: 'registered', how: '' }
    : {
        name: 'search attributes',
        ok: false,
        found: `not registered: ${missing.join(', ')}`,
        how: 'recipe-sweep namespace ensure',
      };
}

async function checkWorker(server: TemporalServer, { host, state }: Config): Promise<Finding> {
  const taskQueue = taskQueueOf(host);
  const workers = await pollingWorkers(server, taskQueue);
  if (workers.length === 0) {
    const found = `none waits on task queue ${taskQueue}`;
    return { name: 'worker', ok: false, found, how: 'recipe-sweep worker, or its systemd unit' };
  }
  const installation = await installationOf(state);
  const foreign = installation === null ? [] : foreignWorkers(workers, installation);
  if (foreign.length > 0) return { name: 'worker', ok: false, ...foreignFound(host, foreign) };
  return { name: 'worker', ok: true, found: workers.map(({ identity }) => identity).join(', '), how: '' };
}

async function checkSchedule({ client }: TemporalServer, { host }: Config): Promise<Finding> {
  const found: string[] = [];
  for (const [what, id] of [
    ['sweep', scheduleIdOf(host)],
    ['reconcile', reconcileScheduleIdOf(host)],
  ] as const) {
    const schedule = await describeSchedule(client.schedule, id);
    if (schedule === null) {
      return {
        name: 'schedule',
        ok: false,
        found: `none of the ${what}`,
        how: 'recipe-sweep schedule ensure',
      };
    }
    found.push(`${what} there${schedule.state.paused ? ', paused' : ''}`);
  }
  return { name: 'schedule', ok: true, found: found.join('; '), how: '' };
}

function renderFindings(findings: readonly Finding[]): string {
  const rows = findings.map(({ name, ok, found, how }) => [
    ok ? green('ok') : red('MISSING'),
    name,
    oneLine(ok ? found : `${found}; ${how}`),
  ]);
  return renderTable(['', 'what', 'found'], rows);
}
