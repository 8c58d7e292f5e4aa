import { Agent, request } from 'undici';
import { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';
import { quotableLine } from '../../domain/printable.ts';
import { beginningOf } from '../machine/answer-body.ts';
import { tryJson } from '../machine/durable-file.ts';
import { trustedAuthorities } from '../probe/certificate.ts';
import type { AdminLogin } from '../config/keycloak-admin.ts';

/** A Keycloak's API, as one session of its admin has it. */

export interface KeycloakPlace {
  domain: string;
  /** Where it is asked: its own container on this host, or its domain. */
  origin: string;
}

export interface Question<T> {
  method: 'GET' | 'POST' | 'DELETE';
  /** The segments of the path, as they are meant. */
  path: readonly string[];
  query?: Readonly<Record<string, string>>;
  /** Sent as JSON. */
  body?: unknown;
  /** Statuses that are an answer here, beside the good ones: they come without a body. */
  taken?: readonly number[];
  schema: z.ZodType<T>;
}

export interface AdminApi {
  /**
   * Asks once, with the admin's token. Null where the answer has no body, or its status is among those taken. Throws Fault
   * Dependency where Keycloak does not answer as it should, and BadConfig where the admin may not do this.
   */
  ask<T>(question: Question<T>): Promise<{ status: number; body: T | null }>;
}

/** Milliseconds for one answer, to its last byte: a realm takes Keycloak some seconds to make. */
const WHOLE_MS = 60_000;
const CONNECT_MS = 10_000;
const LARGEST_ANSWER = 4 * 1024 * 1024;

const tokenSchema = z.looseObject({ access_token: z.string().min(1) });

/**
 * Logs in as the admin, and gives `use` the API with that session's token, which lasts a minute. The password goes into
 * one body, the token into one header, and neither into any message.
 */
export async function asAdmin<T>(
  place: KeycloakPlace,
  login: AdminLogin,
  signal: AbortSignal,
  use: (api: AdminApi) => Promise<T>,
): Promise<T> {
  const hidden = [login.password];
  const ask = await openHttp(place, signal, hidden);
  try {
    const { status, text } = await ask.once(
      'POST',
      ['realms', 'master', 'protocol', 'openid-connect', 'token'],
      {
        type: 'application/x-www-form-urlencoded',
        body: new URLSearchParams({
          grant_type: 'password',
          client_id: 'admin-cli',
          username: login.user,
          password: login.password,
        }).toString(),
      },
    );
    if (status === 400 || status === 401) {
      throw new Fault(
        'BadConfig',
        `keycloak at ${place.domain} does not take the password of its admin ${login.user}, which ${login.from}: ${ask.said(status, text)}; ${login.how}`,
      );
    }
    const token = ask.read(status, text, tokenSchema, 'the admin’s token').access_token;
    hidden.push(token);
    return await use({
      async ask({ method, path, query, body, taken = [], schema }) {
        const sent = body === undefined ? null : { type: 'application/json', body: JSON.stringify(body) };
        const answer = await ask.once(method, path, sent, { query, token });
        if (taken.includes(answer.status)) return { status: answer.status, body: null };
        if (answer.status === 401 || answer.status === 403) {
          throw new Fault(
            'BadConfig',
            `keycloak at ${place.domain} does not let its admin ${login.user} do this: ${method} ${path.join('/')}: ${ask.said(answer.status, answer.text)}; ${login.how}`,
          );
        }
        const isGood = answer.status >= 200 && answer.status < 300;
        if (isGood && answer.text === '') return { status: answer.status, body: null };
        return {
          status: answer.status,
          body: ask.read(answer.status, answer.text, schema, `${method} ${path.join('/')}`),
        };
      },
    });
  } finally {
    await ask.close();
  }
}

async function openHttp({ domain, origin }: KeycloakPlace, signal: AbortSignal, hidden: readonly string[]) {
  const isProxied = new URL(origin).hostname === domain;
  const dispatcher = new Agent({
    connect: {
      timeout: CONNECT_MS,
      // The way to a container of this host is this host's own; over any other a password goes to nobody unproven.
      ...(isProxied ? { ca: await trustedAuthorities() } : { rejectUnauthorized: false }),
    },
    headersTimeout: WHOLE_MS,
    bodyTimeout: WHOLE_MS,
  });

  /** A server may say back what it was told. */
  const shown = (text: string): string =>
    quotableLine(hidden.reduce((left, secret) => left.replaceAll(secret, '***'), text)).slice(0, 300);

  const away = (why: string): Fault => new Fault('Dependency', `keycloak at ${domain}: ${shown(why)}`);

  const said = (status: number, text: string): string => shown(`${status} ${text}`.trim());

  async function once(
    method: Question<unknown>['method'],
    path: readonly string[],
    sent: { type: string; body: string } | null,
    { query = {}, token }: { query?: Readonly<Record<string, string>> | undefined; token?: string } = {},
  ): Promise<{ status: number; text: string }> {
    const url = new URL(`/${path.map(encodeURIComponent).join('/')}`, origin);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    try {
      const answer = await request(url, {
        dispatcher,
        method,
        headers: {
          host: domain,
          accept: 'application/json',
          ...(isProxied ? {} : { 'x-forwarded-proto': 'https', 'x-forwarded-host': domain }),
          ...(sent === null ? {} : { 'content-type': sent.type }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        body: sent?.body ?? null,
        signal: AbortSignal.any([signal, AbortSignal.timeout(WHOLE_MS)]),
      });
      const { text, isWhole } = await beginningOf(answer.body as AsyncIterable<Buffer>, LARGEST_ANSWER);
      if (!isWhole) throw new Error(`an answer of more than ${LARGEST_ANSWER} bytes`);
      return { status: answer.statusCode, text };
    } catch (error) {
      signal.throwIfAborted();
      throw away(`${method} ${url.pathname}: ${messageOf(error)}`);
    }
  }

  return {
    once,
    said,
    close: () => dispatcher.destroy(),
    /** Throws where it is not what was asked for. */
    read<T>(status: number, text: string, schema: z.ZodType<T>, what: string): T {
      if (status < 200 || status >= 300) throw away(`${what}: ${said(status, text)}`);
      const parsed = schema.safeParse(tryJson(text));
      if (parsed.success) return parsed.data;
      throw away(`${what}: no answer of a Keycloak's: ${parsed.error.issues[0]?.message ?? ''}`);
    },
  };
}
