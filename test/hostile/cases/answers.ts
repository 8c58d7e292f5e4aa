import type { Socket } from 'node:net';
import type { HostileCase } from './hostile-case.ts';

/** What an app does with the question whether it serves. */
export interface AnswerCase extends HostileCase {
  /** Speaks on the connection, once the question has come. Ends, or goes on until it is cut. */
  speak(connection: Socket, elsewhere: string): void;
}

const OK = 'HTTP/1.1 200 OK\r\n';

function forever(connection: Socket, text: string, everyMs: number): void {
  const ticker = setInterval(() => connection.write(text), everyMs);
  connection.on('close', () => clearInterval(ticker));
}

export const ANSWER_CASES: readonly AnswerCase[] = [
  {
    name: 'page-endless',
    hostile: 'a page that never ends',
    speak(connection) {
      connection.write(`${OK}\r\n`);
      forever(connection, 'x'.repeat(100_000), 1);
    },
    // What it said by then is an answer; the rest is not waited for.
    says: null,
  },
  {
    name: 'page-slow',
    hostile: 'a page that comes a letter at a time',
    speak(connection) {
      connection.write(`${OK}content-length: 100000\r\n\r\n`);
      forever(connection, 'x', 50);
    },
    says: 'no answer within',
  },
  {
    name: 'headers-slow',
    hostile: 'headers that come a letter at a time',
    speak(connection) {
      connection.write('HTTP/1.1 200 OK\r\nx-slow: ');
      forever(connection, 'x', 50);
    },
    says: 'no answer within',
  },
  {
    name: 'page-silent',
    hostile: 'a connection on which nothing is said',
    speak: () => undefined,
    says: 'no answer within',
  },
  {
    name: 'headers-huge',
    hostile: 'a megabyte of headers',
    speak: (connection) => void connection.end(`${OK}x-huge: ${'x'.repeat(1_000_000)}\r\n\r\nhello`),
    says: 'Headers Overflow Error',
  },
  {
    name: 'headers-many',
    hostile: 'a hundred thousand headers',
    speak: (connection) => void connection.end(`${OK}${'x: y\r\n'.repeat(100_000)}\r\nhello`),
    says: 'Headers Overflow Error',
  },
  {
    name: 'continue-endless',
    hostile: 'an endless row of "go on"',
    speak: (connection) => forever(connection, 'HTTP/1.1 103 Early Hints\r\n\r\n'.repeat(100), 5),
    says: 'GET http',
  },
  {
    name: 'redirect',
    hostile: 'a redirect to another server',
    speak: (connection, elsewhere) =>
      void connection.end(`HTTP/1.1 302 Found\r\nlocation: ${elsewhere}/\r\ncontent-length: 0\r\n\r\n`),
    // An answer as any app gives it; it is not followed.
    says: null,
  },
  {
    name: 'no-http',
    hostile: 'an answer that is no HTTP and steers a terminal',
    speak: (connection) => void connection.end('\u001b[2J\u001b]0;owned\u0007SSH-2.0-x\r\n'),
    says: 'GET http',
  },
  {
    name: 'length-lies',
    hostile: 'a page shorter than it says',
    speak: (connection) => void connection.end(`${OK}content-length: 1000000\r\n\r\nhello`),
    says: 'GET http',
  },
];
