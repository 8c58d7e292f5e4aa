import { Agent, request } from 'undici';
import { messageOf } from '../domain/fault.ts';
import type { HttpProbe } from '../domain/recipe-settings.ts';

/**
 * Asks the app itself whether it serves, over HTTP. Where the question goes is the operator's choice: to the
 * public address, through the proxy, as a user would (proxy), or straight to the task's address on this host
 * (task). Only services with a traefik port label speak HTTP to anyone; a recipe without one is judged by its
 * tasks alone.
 */

const PORT_LABEL = /^traefik\.http\.services\.[^.]+\.loadbalancer\.server\.port$/;

export interface HttpService {
  /** As compose names it. */
  service: string;
  port: number;
}

/**
 * The service that the proxy sends visitors to, and its port; the service app where several are. Null when
 * none has the label, or none a port in it.
 */
export function httpService(
  services: readonly { name: string; labels: ReadonlyMap<string, string> }[],
): HttpService | null {
  const found = services.flatMap(({ name, labels }) => {
    const written = [...labels].find(([label]) => PORT_LABEL.test(label))?.[1];
    const port = Number(written);
    return Number.isInteger(port) && port > 0 && port < 65_536 ? [{ service: name, port }] : [];
  });
  return found.find(({ service }) => service === 'app') ?? found[0] ?? null;
}

export type Answer = { serves: true } | { serves: false; why: string };

export interface Question {
  /** Scheme and authority, as in http://172.18.0.3:8080. */
  origin: string;
  /** The app's domain, sent as Host. */
  domain: string;
  probe: HttpProbe;
  /** The proxy stands in between, so its own error pages may be what answers. */
  proxied: boolean;
  timeoutMs: number;
  signal: AbortSignal;
}

const LARGEST_BODY = 1024 * 1024;

/**
 * What traefik says of itself, by status, when it has no backend to ask (traefik pkg/server: not found,
 * no available server, and the error texts of net/http).
 */
const PROXY_PAGES: Readonly<Record<number, RegExp>> = {
  404: /^404 page not found\s*$/,
  502: /^Bad Gateway\s*$/,
  503: /^(no available server|Service Unavailable)\s*$/,
  504: /^Gateway Timeout\s*$/,
};

/** Asks once. Redirects are answers, not followed. Throws only what aborted the signal. */
export async function ask(question: Question): Promise<Answer> {
  const { origin, domain, probe, proxied, timeoutMs, signal } = question;
  const url = `${origin}${probe.path}`;
  const dispatcher = new Agent({
    // Whether the zone has a trusted certificate says nothing of the package.
    connect: { rejectUnauthorized: false, timeout: timeoutMs },
    headersTimeout: timeoutMs,
    bodyTimeout: timeoutMs,
  });
  const late = AbortSignal.timeout(timeoutMs);
  try {
    const response = await request(url, {
      dispatcher,
      headers: { host: domain, 'user-agent': 'recipe-sweep' },
      signal: AbortSignal.any([signal, late]),
    });
    let body = '';
    for await (const chunk of response.body.setEncoding('utf8')) {
      body += String(chunk);
      if (body.length > LARGEST_BODY) break;
    }
    const status = response.statusCode;
    if (proxied && PROXY_PAGES[status]?.test(body)) {
      return { serves: false, why: `GET ${url}: ${status}, the proxy's own page` };
    }
    const accepted = probe.status === null ? status >= 200 && status < 400 : probe.status.includes(status);
    if (!accepted) {
      const wanted = probe.status === null ? 'a 2xx or 3xx' : probe.status.join(' or ');
      return { serves: false, why: `GET ${url} (Host ${domain}): ${status}, not ${wanted}` };
    }
    if (probe.contains !== null && !body.includes(probe.contains)) {
      return {
        serves: false,
        why: `GET ${url} (Host ${domain}): ${status}, without ${JSON.stringify(probe.contains)} in its body`,
      };
    }
    return { serves: true };
  } catch (error) {
    signal.throwIfAborted();
    const why = late.aborted ? `no answer within ${timeoutMs} ms` : messageOf(error);
    return { serves: false, why: `GET ${url} (Host ${domain}): ${why}` };
  } finally {
    await dispatcher.destroy();
  }
}
