import type { Observation } from '../../domain/convergence.ts';
import { Fault } from '../../domain/fault.ts';
import { ANY_ANSWER, type HttpProbe, type Probe, type SocketProbe } from '../../domain/recipe-settings.ts';
import type { Config } from '../config/config.ts';
import { refused, type Answer } from './answer.ts';
import { askHttp, type HttpQuestion } from './http.ts';
import { askSocket } from './socket.ts';
import type { PreparedRecipe, PreparedService } from '../prepare/prepare.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { runningContainer } from '../engine/containers.ts';
import type { Swarm } from '../engine/swarm.ts';

/**
 * Asks the app itself whether it serves. Where the question goes is the operator's choice: to the public
 * address, through the proxy, as a user would (proxy), or straight to the task's address on this host (task).
 *
 * Through the proxy anybody may answer, so nobody may before the app runs, and while it runs its own task must
 * speak too, where this host can reach it.
 */

/** What an app is asked, and whose port it is. */
export interface Question {
  /** As compose names it. */
  service: string;
  /** Inside the container; null where no label says it, and only the proxy is asked. */
  port: number | null;
  /** What the port speaks, where it is HTTP. */
  scheme: 'http' | 'https';
  probe: Probe;
}

const SERVER_LABEL = /^traefik\.http\.services\.[^.]+\.loadbalancer\.server\.(port|scheme)$/;
/** By these traefik and caddy-docker-proxy take visitors; the one finds no port by itself in a swarm, the other may. */
const ROUTE_LABEL = /^(traefik\.http\.routers\.[^.]+\.rule|caddy(_\d+)?)$/;

type Labelled = Pick<PreparedService, 'name' | 'labels'>;

/**
 * The service that the proxy sends visitors to, and its port; the service app where several are. Null when
 * none has a traefik port label, or none a port in it.
 */
export function httpService(
  services: readonly Labelled[],
): (Pick<Question, 'service' | 'scheme'> & { port: number }) | null {
  const found = services.flatMap(({ name, labels }) => {
    const written = new Map([...labels].map(([label, value]) => [SERVER_LABEL.exec(label)?.[1], value]));
    const port = Number(written.get('port'));
    const scheme = written.get('scheme') === 'https' ? ('https' as const) : ('http' as const);
    return Number.isInteger(port) && port > 0 && port < 65_536 ? [{ service: name, port, scheme }] : [];
  });
  return found.find(({ service }) => service === 'app') ?? found[0] ?? null;
}

/** What answers over HTTP where the app is asked: through the proxy also what has a route and no port label. */
export function webService(
  services: readonly Labelled[],
  via: Config['probe']['via'],
): Pick<Question, 'service' | 'port' | 'scheme'> | null {
  const http = httpService(services);
  if (http !== null || via === 'task') return http;
  const routed = services.filter(({ labels }) => [...labels.keys()].some((label) => ROUTE_LABEL.test(label)));
  const found = routed.find(({ name }) => name === 'app') ?? routed[0];
  return found === undefined ? null : { service: found.name, port: null, scheme: 'http' };
}

/**
 * The recipe's own probe; without one any answer over HTTP, where the proxy sends visitors. Null when nobody
 * is to be asked, and the tasks alone are judged: nothing has a route, or there is no proxy and no label tells the
 * port. Throws RecipeProblem when the release has nothing that the probe could ask.
 */
export function questionFor(
  probe: Probe | null,
  { services, at }: Pick<PreparedRecipe, 'services' | 'at'>,
  via: Config['probe']['via'],
): Question | null {
  if (probe === null || probe.protocol === 'http') {
    const web = webService(services, via);
    if (web !== null) return { ...web, probe: probe ?? ANY_ANSWER };
    if (probe === null) return null;
    const label = 'traefik.http.services.<name>.loadbalancer.server.port';
    throw new RecipeProblem(at('services'), `its probe asks over HTTP, but none has the label ${label}`);
  }
  const { service, port } = probe;
  if (services.some(({ name }) => name === service)) return { service, port, scheme: 'http', probe };
  const asked = `its probe asks ${service} on ${probe.protocol} port ${port}`;
  throw new RecipeProblem(at('services'), `${asked}, but there is no service ${service}`);
}

/** The app that is asked. */
interface Asked {
  domain: string;
  stack: string;
}

export interface Prober {
  /**
   * Asks the domain once, if nothing of the app runs yet. Throws Fault DomainTaken when something answers as
   * the app should, since it could do so later in the app's place, and Fault Network when there is no way to
   * the proxy.
   */
  checkFree(app: Asked, question: Question): Promise<void>;
  /** Asks the app's present tasks once. Throws what aborted the signal, and Faults of the engine. */
  ask(
    app: Asked,
    question: Question,
    seen: Observation,
    limits: { timeoutMs: number; signal: AbortSignal },
  ): Promise<Answer>;
}

export interface ProberSettings {
  via: Config['probe']['via'];
  swarm: Pick<Swarm, 'services' | 'containers' | 'hostAddress' | 'publishedPort'>;
  signal: AbortSignal;
}

/** Where this host reaches the running task of a service; null when it has none, or no such address. */
export async function taskAddress(
  swarm: Pick<Swarm, 'containers' | 'hostAddress'>,
  stack: string,
  seen: Observation,
  service: string,
): Promise<string | null> {
  const container = await runningContainer(swarm, stack, seen, service);
  return container === null ? null : swarm.hostAddress(container);
}

function isRedirect(status = 0): boolean {
  return status >= 300 && status < 400;
}

/** Whether an app that serves may have said this itself, whatever the proxy asks of a visitor before. */
function fits(status = 0, probe: Probe): boolean {
  const named = probe.protocol === 'http' && probe.status?.includes(status);
  return named || (status >= 200 && status < 400);
}

const CHECK_FREE_MS = 10_000;

type Limits = Parameters<Prober['ask']>[3];

export function createProber({ via, swarm, signal }: ProberSettings): Prober {
  function askDomain({ domain }: Asked, probe: HttpProbe, limits: Limits): Promise<Answer> {
    return askHttp({ origin: `https://${domain}`, domain, probe, proxied: true, ...limits });
  }

  async function askPublished({ domain, stack }: Asked, probe: SocketProbe, limits: Limits): Promise<Answer> {
    const { service, port, protocol } = probe;
    const published = await swarm.publishedPort(stack, service, { port, protocol });
    if (published !== null) return askSocket({ host: domain, port: published, domain, probe, ...limits });
    return refused(
      `${service} does not publish its ${protocol} port ${port}, so nobody reaches it at ${domain}`,
    );
  }

  /** Asks the task itself: all that the probe wants to know, or only whether it speaks HTTP at all. */
  function askTask(
    { domain }: Asked,
    { port, scheme, probe }: Question & { port: number },
    address: string,
    limits: Limits & Pick<HttpQuestion, 'anyAnswer'>,
  ): Promise<Answer> {
    return probe.protocol === 'http'
      ? askHttp({ origin: `${scheme}://${address}:${port}`, domain, probe, proxied: false, ...limits })
      : askSocket({ host: address, port, domain, probe, ...limits });
  }

  return {
    async checkFree(app, { probe }) {
      if (via !== 'proxy' || probe.protocol !== 'http') return;
      if ((await swarm.services(app.stack)).length > 0) return;
      const answer = await askDomain(app, probe, { timeoutMs: CHECK_FREE_MS, signal });
      if (answer.serves) {
        throw new Fault(
          'DomainTaken',
          `something answers at ${app.domain} although nothing of ${app.stack} runs, so no answer there would be the app's: ${answer.what}`,
        );
      }
      if (answer.unreachable) throw new Fault('Network', answer.why);
    },

    async ask(app, question, seen, limits) {
      const { service, port, probe } = question;
      const address = port === null ? null : await taskAddress(swarm, app.stack, seen, service);
      const own = port === null || address === null ? null : { address, question: { ...question, port } };
      if (via === 'task') {
        return own === null
          ? refused(`the task of ${service} has no address on docker_gwbridge`)
          : askTask(app, own.question, own.address, limits);
      }
      const [visitor, task] = await Promise.all([
        probe.protocol === 'http' ? askDomain(app, probe, limits) : askPublished(app, probe, limits),
        own && askTask(app, own.question, own.address, { ...limits, anyAnswer: true }),
      ]);
      if (!visitor.serves || task === null) return visitor;
      if (!task.serves) {
        const what = `${visitor.what}; but that may be another app's answer`;
        return refused(`${what}, since its own task gives none: ${task.why}`);
      }
      // A middleware of the proxy sends visitors to a login before the app is asked anything.
      if (isRedirect(visitor.status) && !fits(task.status, probe)) {
        return refused(
          `${visitor.what}; but a redirect may be the proxy's own, and its task says: ${task.what}`,
        );
      }
      return visitor;
    },
  };
}
