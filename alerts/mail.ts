import { createHash } from 'node:crypto';
import { createTransport } from 'nodemailer';
import { messageOf } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import { secretsOfAccess, type AlertAccess } from '../host/config/alert-targets.ts';
import { redact } from '../host/machine/process.ts';
import type { Message } from './message.ts';
import { Undelivered } from './undelivered.ts';

type MailAccess = Extract<AlertAccess, { is: 'mail' }>;

const CONNECTED_MS = 15_000;
const SILENCE_MS = 20_000;

/** Sends one mail to one address. Throws Undelivered where the server did not take it. */
export async function mail(access: MailAccess, message: Message, zone: string): Promise<void> {
  const { server, from, to, login } = access;
  const transport = createTransport({
    host: server.hostname.replace(/^\[|\]$/g, ''),
    port: Number(server.port),
    secure: server.protocol === 'smtps:',
    // What passes no wire needs no certificate; a password passes none in the clear.
    ...(isLoopback(server.hostname) ? { ignoreTLS: true } : { requireTLS: login !== null }),
    ...(login === null ? {} : { auth: { user: login.user, pass: login.password } }),
    connectionTimeout: CONNECTED_MS,
    greetingTimeout: CONNECTED_MS,
    dnsTimeout: CONNECTED_MS,
    socketTimeout: SILENCE_MS,
    // Nothing of a message is a file or a URL to read.
    disableFileAccess: true,
    disableUrlAccess: true,
  });
  try {
    await transport.sendMail({
      from,
      to,
      subject: `[recipe-sweep] ${message.title}`,
      text: `${message.text}\n`,
      messageId: `<${message.id}.alert@${zone}>`,
      // By it a mail client shows the end of an alert with its beginning.
      ...(message.about === null ? {} : { references: `<${sumOf(message.about)}.about@${zone}>` }),
      headers: { 'Auto-Submitted': 'auto-generated' },
    });
  } catch (error) {
    const { code } = error as { code?: string };
    const why = redact(messageOf(error), secretsOfAccess(access));
    throw new Undelivered(quotableLine(`${server.host}: ${why}; ${whatToDo(code)}`), code === 'EMESSAGE');
  } finally {
    transport.close();
  }
}

function sumOf(about: string): string {
  return createHash('sha256').update(about).digest('hex').slice(0, 32);
}

function isLoopback(hostname: string): boolean {
  return hostname === 'localhost' || hostname === '[::1]' || /^127\.\d+\.\d+\.\d+$/.test(hostname);
}

function whatToDo(code = ''): string {
  switch (code) {
    case 'EAUTH':
    case 'ENOAUTH':
      return 'it does not take the login: look at user and passwordFile';
    case 'EENVELOPE':
      return 'it does not take these addresses: look at from and to';
    case 'EMESSAGE':
      return 'it does not take this mail; its own log may say more';
    case 'ETLS':
      return 'there is no TLS with it: is its certificate good, and smtp:// or smtps:// right?';
    default:
      return 'is it there, and may this host reach it?';
  }
}
