import { Agent, request } from 'undici';
import { messageOf } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import { beginningOf } from '../host/machine/answer-body.ts';
import { redact } from '../host/machine/process.ts';
import { Undelivered } from './undelivered.ts';

export interface Posting {
  url: string;
  token: string | null;
  /** What the receiver may know it by when it comes twice. */
  id: string;
  body: unknown;
  /** What no message may show, the longest first. */
  secrets: readonly string[];
}

/** For one answer, to its last byte. */
const WHOLE_MS = 20_000;
const LARGEST_ANSWER = 64 * 1024;

/** Posts JSON, and follows nobody elsewhere. Throws Undelivered where it was not taken, which names the origin alone. */
export async function post({ url, token, id, body, secrets }: Posting): Promise<void> {
  const { origin } = new URL(url);
  const shown = (text: string): string => quotableLine(redact(text, secrets));
  const dispatcher = new Agent();
  let answer: { status: number; location: string | null; text: string };
  try {
    answer = await answerOf(dispatcher, { url, token, id, body });
  } catch (error) {
    const { name, code } = error as Partial<Record<'name' | 'code', string>>;
    const why = name === 'TimeoutError' ? `no answer within ${WHOLE_MS} ms` : messageOf(error);
    throw new Undelivered(
      shown(`${origin}: ${why || String(code ?? name)}; is it there, and may this host reach it?`),
    );
  } finally {
    await dispatcher.destroy();
  }
  const { status, location, text } = answer;
  if (status >= 200 && status < 300) return;
  const said = text.trim() === '' ? String(status) : `${status}, ${text.slice(0, 200)}`;
  throw new Undelivered(
    shown(`${origin}: ${said}; ${whatToDo(status, location, origin)}`),
    OF_MESSAGE.has(status),
  );
}

async function answerOf(dispatcher: Agent, { url, token, id, body }: Omit<Posting, 'secrets'>) {
  const {
    statusCode: status,
    headers,
    body: answer,
  } = await request(url, {
    dispatcher,
    method: 'POST',
    headers: {
      'content-type': 'application/json',
      'user-agent': 'recipe-sweep',
      'idempotency-key': id,
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(WHOLE_MS),
  });
  const { location } = headers;
  const { text } = await beginningOf(answer as AsyncIterable<Buffer>, LARGEST_ANSWER);
  return { status, location: typeof location === 'string' ? location : null, text };
}

/** Not as it is, or too large. */
const OF_MESSAGE = new Set([400, 413, 422]);

function whatToDo(status: number, location: string | null, origin: string): string {
  if (status >= 300 && status < 400) {
    const to =
      location !== null && URL.canParse(location, origin) ? new URL(location, origin).origin : 'elsewhere';
    return `it sends us on to ${to}: write in the configuration where it is now`;
  }
  if (status === 401 || status === 403) return 'it does not take the token, or wants one: look at tokenFile';
  if (status === 404 || status === 410) return 'nothing is there: look at the URL';
  if (status === 429 || status >= 500) return 'it is tried again; its own log may say more';
  return 'it does not take what it is told: is the URL one that takes JSON?';
}
