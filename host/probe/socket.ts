import { createSocket } from 'node:dgram';
import { lookup } from 'node:dns/promises';
import { once } from 'node:events';
import { connect, isIP } from 'node:net';
import { addAbortSignal } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { connect as connectTls } from 'node:tls';
import type { SocketProbe } from '../../domain/recipe-settings.ts';
import { connectionError, refused, type Answer } from './answer.ts';
import { bytePattern, excerpt, MOST_BYTES, type BytePattern } from './bytes.ts';

export interface SocketQuestion {
  /** The task's address, or the app's domain. */
  host: string;
  port: number;
  domain: string;
  probe: SocketProbe;
  timeoutMs: number;
  signal: AbortSignal;
}

/** A connection on which nothing is to be said must stay open for this long. */
const STAYS_OPEN_MS = 500;
/** A datagram may be lost, so the question is put again. */
const RESEND_MS = 1_000;

/** One question under way. */
interface Asking {
  question: SocketQuestion;
  sent: Buffer | null;
  /** Null: any answer is as expected. */
  expected: BytePattern | null;
  /** The question's time is over. */
  ended: AbortSignal;
  /** What came so far, or over UDP last, that is not as expected. */
  heard: Buffer;
  /** What the network said of a datagram. */
  bounced: string | null;
}

/**
 * Asks once over TCP or UDP, in the bytes that the probe names. With nothing to send or expect, a TCP server
 * serves when it accepts a connection and does not close it at once: what forwards a port accepts too, before
 * it finds nobody behind it. Over UDP the question is put again each second until an answer is as expected.
 * Throws only what aborted the signal.
 */
export async function askSocket(question: SocketQuestion): Promise<Answer> {
  const { host, port, probe, timeoutMs, signal } = question;
  const late = AbortSignal.timeout(timeoutMs);
  const asking: Asking = {
    question,
    sent: probe.send === null ? null : Buffer.from(probe.send, 'hex'),
    expected: probe.expect === null ? null : bytePattern(probe.expect),
    ended: AbortSignal.any([signal, late]),
    heard: Buffer.alloc(0),
    bounced: null,
  };
  const called = `${probe.protocol}${probe.tls ? ' with TLS' : ''} ${host} port ${port}`;
  try {
    const { serves, said } = await (probe.protocol === 'tcp' ? overTcp(asking) : overUdp(asking));
    return serves ? { serves, what: `${called}: ${said}` } : refused(`${called}: ${said}`);
  } catch (error) {
    signal.throwIfAborted();
    if (late.aborted) return refused(`${called}: no answer within ${timeoutMs} ms${butHeard(asking)}`);
    const { what, noWay } = connectionError(error, host);
    return { serves: false, why: `${called}: ${what}`, unreachable: noWay && isIP(host) === 0 };
  }
}

interface Heard {
  serves: boolean;
  said: string;
}

function butHeard({ heard, bounced, expected }: Asking): string {
  if (heard.length > 0) return `, but ${excerpt(heard)}, not /${expected?.written}/`;
  return bounced === null ? '' : `: ${bounced}`;
}

async function overTcp(asking: Asking): Promise<Heard> {
  const { question, sent, expected, ended } = asking;
  const { host, port, domain, probe } = question;
  const socket = probe.tls
    ? // Whether the zone has a trusted certificate says nothing of the package.
      connectTls({ host, port, servername: domain, rejectUnauthorized: false })
    : connect({ host, port });
  addAbortSignal(ended, socket);
  try {
    await once(socket, probe.tls ? 'secureConnect' : 'connect');
    if (sent === null && expected === null) {
      socket.resume();
      const closed = once(socket, 'close').then(() => true);
      return (await Promise.race([closed, sleep(STAYS_OPEN_MS, false)]))
        ? { serves: false, said: 'the connection was accepted and closed at once' }
        : { serves: true, said: 'the connection was accepted' };
    }
    if (sent !== null) socket.write(sent);
    for await (const piece of socket as AsyncIterable<Buffer>) {
      asking.heard = Buffer.concat([asking.heard, piece]).subarray(0, MOST_BYTES);
      if (expected?.foundIn(asking.heard) ?? true) return { serves: true, said: excerpt(asking.heard) };
      if (asking.heard.length === MOST_BYTES) break;
    }
    const end = asking.heard.length === MOST_BYTES ? 'it went on' : 'the connection was closed';
    return { serves: false, said: `${end}${butHeard(asking)}` };
  } finally {
    socket.destroy();
  }
}

async function overUdp(asking: Asking): Promise<Heard> {
  const { question, sent, expected, ended } = asking;
  const over = whenOver(ended);
  const addresses = await Promise.race([lookup(question.host, { all: true }), over]);
  // Ports are published on IPv4 on every engine.
  const found = addresses.find(({ family }) => family === 4) ?? addresses[0];
  const socket = createSocket(found?.family === 6 ? 'udp6' : 'udp4');
  let resend;
  try {
    // Answers of anyone else are not heard on a connected socket.
    socket.connect(question.port, found?.address);
    await once(socket, 'connect');
    const answered = new Promise<Heard>((resolve, reject) => {
      let size = 0;
      socket.on('error', (error) => (asking.bounced = error.message));
      socket.on('message', (answer) => {
        asking.heard = answer;
        size += answer.length;
        try {
          if (expected?.foundIn(answer) ?? true) resolve({ serves: true, said: excerpt(answer) });
          else if (size >= MOST_BYTES) resolve({ serves: false, said: `it goes on${butHeard(asking)}` });
        } catch (error) {
          reject(error);
        }
      });
    });
    const send = (): void =>
      socket.send(sent ?? '', (error) => {
        if (error !== null) asking.bounced = error.message;
      });
    send();
    resend = setInterval(send, RESEND_MS);
    return await Promise.race([answered, over]);
  } finally {
    clearInterval(resend);
    socket.close();
  }
}

/** Rejects when the signal aborts. */
function whenOver(signal: AbortSignal): Promise<never> {
  signal.throwIfAborted();
  return new Promise((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
