import type { Command } from 'commander';
import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../domain/fault.ts';
import { servicesAmong, type ServiceOrder } from '../../domain/service.ts';
import { parseVersion } from '../../domain/version.ts';
import { createRecipes } from '../../host/recipes/recipes.ts';
import { createServices, type LastGood, type Orders, type ServiceEvent } from '../../host/store/services.ts';
import {
  RECONCILE_WORKFLOW,
  reconcileWorkflowId,
  SERVICE_WORKFLOW,
  servicesQuery,
  type ReconciledService,
  type ReconcileInput,
  type ReconcileResult,
  type ServiceOrderInput,
} from '../../workflows/protocol.ts';
import { CommandStopped, EXIT } from '../failure.ts';
import { checkRecipeNames } from '../recipe-names.ts';
import { formatTime } from '../../domain/quantities.ts';
import { renderTable } from '../render/table.ts';
import { oneLine, safeLines } from '../render/terminal.ts';
import { configOf, printJson, withServer, type Session } from '../session.ts';
import { whoTypes } from '../who-types.ts';

/** The live services: what is on disk of them is read, and what changes one is a workflow's. */
export function addServiceCommands(program: Command, session: Session): void {
  const service = program
    .command('service')
    .description('the shared live services, as keycloak and traefik (docs/services.md)');
  const { terminal } = session;

  service
    .command('list')
    .description('each of them: the release it is at, and what a reconcile said of it last')
    .option('--json')
    .action(async (options: { json?: true }, command: Command) => {
      const list = await listServices(session, command);
      if (options.json) printJson(session, list);
      else terminal.out(list.length === 0 ? NONE : renderList(list));
      if (list.some(({ error }) => error !== null)) session.exitStatus = EXIT.none;
    });

  service
    .command('show')
    .description('one of them: what it is at, what operators said of it, and what reconciles did')
    .argument('<service>')
    .option('--json')
    .action(async (name: string, options: { json?: true }, command: Command) => {
      checkRecipeNames([name]);
      const list = await listServices(session, command);
      const found = list.find((one) => one.service === name);
      if (found === undefined) {
        const those = list.map(({ service: one }) => one).join(', ');
        throw new CommandStopped(`${name} is no live service: ${those === '' ? NONE : `those are ${those}`}`);
      }
      if (options.json) printJson(session, found);
      else terminal.out(renderService(found));
      if (found.error !== null) session.exitStatus = EXIT.none;
    });

  service
    .command('reconcile')
    .description('take them, or those named, to their latest release now, and wait for the outcome')
    .argument('[service...]')
    .option('--json', 'print the result as JSON')
    .action(async (services: string[], options: { json?: true }, command: Command) => {
      checkRecipeNames(services);
      await reconcileNow(session, command, services, options.json ?? false);
    });

  service
    .command('adopt')
    .description("look after what somebody deployed at the service's domain; nothing of it is touched")
    .argument('<service>')
    .action((name: string, _options: unknown, command: Command) =>
      order(session, command, name, { order: 'adopt' }),
    );

  service
    .command('approve')
    .description('let this very version through, whatever holds it back, and take the service there now')
    .argument('<service>')
    .argument('<version>')
    .action(async (name: string, version: string, _options: unknown, command: Command) => {
      if (parseVersion(version) === null) {
        throw new CommandStopped(`not a release: ${JSON.stringify(version)} (x.y.z+app)`);
      }
      await order(session, command, name, { order: 'approve', version });
      await reconcileNow(session, command, [name], false);
    });

  service
    .command('hold')
    .description('leave it as it is until resumed')
    .argument('<service>')
    .requiredOption('--reason <why>', 'shown wherever the service is')
    .action((name: string, { reason }: { reason: string }, command: Command) =>
      order(session, command, name, { order: 'hold', reason }),
    );

  service
    .command('resume')
    .description('undo a hold; or go on where a rollback failed, once the service is healthy again')
    .argument('<service>')
    .action((name: string, _options: unknown, command: Command) =>
      order(session, command, name, { order: 'resume' }),
    );
}

const NONE = 'no recipe\'s folder says "live: true"';

async function order(session: Session, command: Command, service: string, said: ServiceOrder): Promise<void> {
  checkRecipeNames([service]);
  const input: ServiceOrderInput = { service, order: said, by: whoTypes() };
  const { askWorker } = await import('../ask-worker.ts');
  await askWorker(session, command, {
    workflow: SERVICE_WORKFLOW,
    name: `service-${said.order}-${service}`,
    input,
    summary: `${said.order} ${service}`,
  });
}

/** A service in `service list --json`. */
export interface ListedService {
  service: string;
  /** Null when it was neither deployed by a reconcile nor adopted, and when its record cannot be read. */
  lastGood: LastGood | null;
  /** A change of it was begun: a reconcile is at work, or the next one puts it back first. */
  underway: boolean;
  orders: Omit<Orders, 'schema'> | null;
  /** What reconciles did, oldest first. */
  history: ServiceEvent[];
  /** Why its records or its folder cannot be read, else null. */
  error: string | null;
}

async function listServices(session: Session, command: Command): Promise<ListedService[]> {
  const config = await configOf(session, command);
  const services = createServices(config);
  const recipes = await createRecipes(config.recipes).all();
  const problems = new Map(recipes.map(({ recipe, problem }) => [recipe, problem]));
  return Promise.all(
    servicesAmong(recipes, await services.list()).map(async (service): Promise<ListedService> => {
      const error = problems.get(service) ?? null;
      try {
        const [lastGood, underway, { schema: _, ...orders }, history] = await Promise.all([
          services.lastGood(service),
          services.underway(service),
          services.orders(service),
          services.history(service),
        ]);
        return { service, lastGood, underway: underway !== null, orders, history, error };
      } catch (cause) {
        const nothing = { lastGood: null, underway: false, orders: null, history: [] };
        return { service, ...nothing, error: messageOf(cause) };
      }
    }),
  );
}

function renderList(list: readonly ListedService[]): string {
  return renderTable(
    ['service', 'version', 'since', 'last reconcile', 'outcome'],
    list.map((one) => {
      const { service, lastGood, history, error } = one;
      if (error !== null) return [service, `cannot be read: ${oneLine(error)}`, '', '', ''];
      const last = history.at(-1);
      return [
        service,
        lastGood?.version ?? 'not looked after',
        lastGood === null ? '' : formatTime(new Date(lastGood.ts)),
        last === undefined ? 'never' : formatTime(new Date(last.ts)),
        oneLine(last?.outcome ?? ''),
      ];
    }),
  );
}

/** Of a history the last ones are shown. */
const SHOWN_EVENTS = 10;

function renderService({ service, lastGood, underway, orders, history, error }: ListedService): string {
  if (error !== null) return safeLines(`${service}: cannot be read: ${error}`);
  const { approved, hold, rolledBack, stopped } = orders ?? {};
  const said = (what: { by: string; ts: string }): string =>
    `by ${what.by}, ${formatTime(new Date(what.ts))}`;
  const lines = [
    lastGood === null
      ? `${service}: not looked after; what runs at its domain: recipe-sweep service adopt ${service}`
      : `${service} ${lastGood.version}`,
    ...(lastGood === null
      ? []
      : [
          `domain    ${lastGood.domain}`,
          `commit    ${lastGood.commit}`,
          `healthy   since ${formatTime(new Date(lastGood.ts))}, by ${lastGood.run}`,
        ]),
    ...(underway
      ? ['underway  a change was begun; the next reconcile ends it, or puts the service back']
      : []),
    ...(stopped ? [`stopped   ${stopped.why}`] : []),
    ...(hold ? [`held      ${hold.reason} (${said(hold)})`] : []),
    ...(approved ? [`approved  ${approved.version} (${said(approved)})`] : []),
    ...(rolledBack
      ? [`not again ${rolledBack.version}: ${rolledBack.why}`, `evidence  ${rolledBack.evidence}`]
      : []),
  ];
  const events = history
    .slice(-SHOWN_EVENTS)
    .map(({ ts, outcome, why }) => [formatTime(new Date(ts)), outcome, oneLine(why)]);
  const table = events.length === 0 ? [] : ['', renderTable(['when', 'outcome', 'why'], events)];
  return [safeLines(lines.join('\n')), ...table].join('\n');
}

const ASK_AGAIN_MS = 500;

/** Starts a reconcile, and shows each service's outcome as it comes. Leaves one that waits for an approval to wait. */
async function reconcileNow(
  session: Session,
  command: Command,
  services: readonly string[],
  json: boolean,
): Promise<void> {
  const [{ requireWorker }, { startByHand }, { stopSignal }, { workflowUrl }, { explain }] =
    await Promise.all([
      import('../connect.ts'),
      import('../by-hand.ts'),
      import('../signals.ts'),
      import('../../host/config/temporal-ui.ts'),
      import('../temporal-failure.ts'),
    ]);
  await withServer(session, command, async (server, config) => {
    const { terminal } = session;
    const say = json ? terminal.err : terminal.out;
    await requireWorker(server, config.host);
    const input: ReconcileInput = services.length === 0 ? {} : { services: [...services] };
    const id = await startByHand(server, {
      host: config.host,
      type: RECONCILE_WORKFLOW,
      idAt: (now) => reconcileWorkflowId(config.host, now),
      input,
      summary: `reconcile by hand: ${services.length === 0 ? 'every live service' : services.join(', ')}`,
    });
    const url = workflowUrl(config, id);
    say(`${id} started: ${url}`);
    const handle = server.client.workflow.getHandle(id);
    const stop = stopSignal();
    const shown = new Set<string>();
    try {
      for (;;) {
        const { status } = await handle.describe();
        if (status.name !== 'RUNNING' && status.name !== 'COMPLETED') await handle.result();
        const now = await handle.query(servicesQuery);
        for (const one of now.services.filter(({ service }) => !shown.has(service))) {
          shown.add(one.service);
          if (!json) terminal.out(safeLines(reconciledText(one)));
        }
        if (now.state === 'done' || now.state === 'waiting for an approval') {
          if (json) printJson(session, { ...now, url });
          session.exitStatus = exitStatusOf(now);
          return;
        }
        if (stop.signal.aborted) {
          terminal.err(`${id} goes on without this terminal. Watch it: ${url}`);
          session.exitStatus = EXIT.interrupted;
          return;
        }
        await sleep(ASK_AGAIN_MS, undefined, { signal: stop.signal }).catch(() => undefined);
      }
    } catch (error) {
      throw new CommandStopped(`${explain(error)}\ntemporal  ${url}`);
    } finally {
      stop.dispose();
    }
  });
}

function reconciledText({ service, outcome, why, held }: ReconciledService): string {
  const next = held === null ? '' : `\n  let it through: recipe-sweep service approve ${service} ${held}`;
  return `${service}: ${outcome}: ${why}${next}`;
}

/** Red: something is not as it should be. */
function exitStatusOf({ services }: ReconcileResult): number {
  const outcomes = services.map(({ outcome }) => outcome);
  if (outcomes.includes('error')) return EXIT.none;
  const bad = ['rolled-back', 'rollback-failed', 'not-adopted'];
  return outcomes.some((outcome) => bad.includes(outcome)) ? EXIT.red : EXIT.ok;
}
