import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import type { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';

/** Where a forge is, and as whom it is asked. */
export interface ForgeSettings {
  /** Its base, as in https://git.example.org. */
  url: string;
  token: string;
  /** Where the token stands, for messages. */
  tokenFile: string;
  /** Nothing is asked, or waited for, once it is aborted. */
  signal: AbortSignal;
}

export interface Question {
  method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** The segments below the API's own path, as they are meant. */
  path: readonly (string | number)[];
  query?: Readonly<Record<string, string | number>>;
  body?: unknown;
  /** What the token must be let do for it, in the forge's words: for the message where it is not. */
  right: string;
  /** Whether it may be asked twice, although it may have been done the first time. Not said: whatever is no POST. */
  again?: boolean;
  /** Statuses that are an answer here, beside the good ones and 404. */
  taken?: readonly number[];
}

export interface Reply<T> {
  status: number;
  /** Null where nothing was found, or nothing said. */
  body: T | null;
  /** How many there are in all, of a list that comes in pages; null where that is not said. */
  total: number | null;
}

export interface Api {
  /**
   * Asks, and asks again where that helps: a few times, and no sooner than the forge says. 404 is an answer without a
   * body. Throws Fault Forge where the forge does not answer, or not as the schema says; BadConfig where it does not
   * take the token, or the token lacks a right; and what the signal was aborted with.
   */
  ask<T>(question: Question, schema: z.ZodType<T>): Promise<Reply<T>>;
}

/** In milliseconds. */
export interface Patience {
  /** Before it is asked a second time; twice as long before each further one. */
  firstWait: number;
  /** A forge that wants to be left alone for longer is one that is away. */
  longestWait: number;
  /** Without a byte. */
  silence: number;
  /** For one answer, to its last byte. */
  whole: number;
}

const PATIENCE: Patience = { firstWait: 500, longestWait: 60_000, silence: 30_000, whole: 60_000 };
const TRIES = 5;
const LARGEST_ANSWER = 16 * 1024 * 1024;

interface Answer {
  status: number;
  headers: Record<string, string | string[] | undefined>;
  text: string;
}

/** What there is instead of an answer. */
interface Silence {
  why: string;
  /** Whether it is certain that nothing was done. */
  unsent: boolean;
}

/** The API at `<url>/api/v1`. The token goes into one header, and nowhere else. */
export function createApi({ url, token, tokenFile, signal }: ForgeSettings, patience = PATIENCE): Api {
  const base = `${url.replace(/\/+$/, '')}/api/v1/`;
  const dispatcher = new Agent({
    connect: { timeout: patience.silence },
    headersTimeout: patience.silence,
    bodyTimeout: patience.silence,
  });

  /** A server may say back what it was told. */
  const shown = (text: string): string => quotableLine(text.replaceAll(token, '***'));

  async function once({ method = 'GET', body }: Question, place: URL): Promise<Answer> {
    const sent = body === undefined ? undefined : JSON.stringify(body);
    const answer = await request(place, {
      dispatcher,
      method,
      headers: {
        accept: 'application/json',
        authorization: `token ${token}`,
        ...(sent === undefined ? {} : { 'content-type': 'application/json' }),
      },
      body: sent ?? null,
      signal: AbortSignal.any([signal, AbortSignal.timeout(patience.whole)]),
    });
    const chunks: Buffer[] = [];
    let bytes = 0;
    for await (const chunk of answer.body as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      if (bytes > LARGEST_ANSWER) throw new TooLarge(`an answer of more than ${LARGEST_ANSWER} bytes`);
      chunks.push(chunk);
    }
    return { status: answer.statusCode, headers: answer.headers, text: Buffer.concat(chunks).toString() };
  }

  async function onceOrSilence(question: Question, place: URL): Promise<Answer | Silence> {
    try {
      return await once(question, place);
    } catch (error) {
      signal.throwIfAborted();
      if (error instanceof TooLarge) throw error;
      return silence(error, patience);
    }
  }

  /** The first answer that asking again would not make a better one. */
  async function patiently(question: Question, place: URL): Promise<Answer> {
    const mayRepeat = question.again ?? question.method !== 'POST';
    for (let tried = 1; ; tried++) {
      const found = await onceOrSilence(question, place);
      if ('status' in found && !isTrouble(found.status)) return found;
      const named = 'status' in found ? waitNamed(found) : null;
      // What was refused for coming too soon, or never arrived, was not done.
      const undone =
        'status' in found ? found.status === 429 || (found.status === 503 && named !== null) : found.unsent;
      const what = 'status' in found ? said(found) : found.why;
      const wait = named ?? patience.firstWait * 2 ** (tried - 1);
      if (!mayRepeat && !undone) throw new Silent(what);
      if (tried === TRIES) throw new Silent(`${what}; it was asked ${TRIES} times`);
      if (wait > patience.longestWait) {
        throw new Silent(`${what}; it is not to be asked again for ${Math.ceil(wait / 1000)} s`);
      }
      await sleep(wait, undefined, { signal }).catch((error: unknown) => {
        signal.throwIfAborted();
        throw error;
      });
    }
  }

  return {
    async ask(question, schema) {
      const place = placeOf(base, question);
      const doing = `${question.method ?? 'GET'} ${place.href}`;
      const answer = await patiently(question, place).catch((error: unknown) => {
        if (!(error instanceof Silent || error instanceof TooLarge)) throw error;
        throw new Fault('Forge', `the forge: ${shown(`${doing}: ${error.message}`)}`);
      });
      const { status, headers, text } = answer;
      const reply = { status, body: null, total: totalOf(headers) };
      if (status === 404 || question.taken?.includes(status)) return reply;
      if (status >= 200 && status < 300) {
        if (text === '') return reply;
        const read = schema.safeParse(json(text));
        if (read.success) return { ...reply, body: read.data };
        const [issue] = read.error.issues;
        const wrong = `${issue?.path.join('.') ?? ''} ${issue?.message ?? ''}`.trim();
        throw new Fault(
          'Forge',
          `the forge: ${shown(`${doing}: no answer of a forge's: ${wrong}: ${text.slice(0, 100)}`)}`,
        );
      }
      const refusal = shown(`${doing}: ${said(answer)}`);
      if (status === 401) {
        throw new Fault(
          'BadConfig',
          `the forge does not take the token in ${tokenFile} (forge.tokenFile): have another one made for its account, and write it there. ${refusal}`,
        );
      }
      if (status === 403) {
        throw new Fault(
          'BadConfig',
          `the token in ${tokenFile} (forge.tokenFile) is not let do this; it needs ${question.right}. ${refusal}`,
        );
      }
      if (status >= 300 && status < 400) {
        const to = shown(String(headers['location'] ?? 'elsewhere'));
        throw new Fault(
          'BadConfig',
          `the forge sends us on to ${to}: write in the configuration where it is now ("forge.url", "mirrors"). ${refusal}`,
        );
      }
      throw new Fault('Forge', `the forge: ${refusal}`);
    },
  };
}

/** It did not answer, or not in a way that counts. */
class Silent extends Error {}

class TooLarge extends Error {}

function placeOf(base: string, { path, query = {} }: Question): URL {
  const segments = path.map((segment) => {
    const text = String(segment);
    // A URL would take it for a way up.
    if (/^\.{0,2}$/.test(text)) throw new Fault('BadInput', `no name on a forge: ${JSON.stringify(text)}`);
    return encodeURIComponent(text);
  });
  const place = new URL(segments.join('/'), base);
  for (const [name, value] of Object.entries(query)) place.searchParams.set(name, String(value));
  return place;
}

/** Whether another try may do better. */
function isTrouble(status: number): boolean {
  return status === 429 || status >= 500;
}

/** How long the forge wants to be left alone, in milliseconds; null where it does not say. */
function waitNamed({ headers }: Answer): number | null {
  const written = headers['retry-after'];
  if (typeof written !== 'string') return null;
  const ms = /^\d+$/.test(written) ? Number(written) * 1000 : Date.parse(written) - Date.now();
  return Number.isNaN(ms) ? null : Math.max(0, ms);
}

function totalOf(headers: Answer['headers']): number | null {
  const written = headers['x-total-count'];
  return typeof written === 'string' && /^\d{1,15}$/.test(written) ? Number(written) : null;
}

/** A status, and what the forge says of it: in JSON, or a proxy's page. */
function said({ status, text }: Answer): string {
  const document = json(text);
  const message =
    typeof document === 'object' && document !== null && 'message' in document
      ? String(document.message)
      : text.slice(0, 200);
  return message === '' ? String(status) : `${status}, ${message}`;
}

function json(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Errors of a connection that was never made. */
const UNSENT = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'UND_ERR_CONNECT_TIMEOUT',
]);

function silence(error: unknown, { whole }: Patience): Silence {
  const { name, code } = error as Partial<Record<'name' | 'code', string>>;
  const why =
    name === 'TimeoutError' ? `no whole answer within ${whole} ms` : messageOf(error) || String(code ?? name);
  return { why, unsent: code !== undefined && UNSENT.has(code) };
}
