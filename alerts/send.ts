import { secretsOfAccess, type AlertAccess } from '../host/config/alert-targets.ts';
import type { Message, Teller } from './message.ts';
import { post } from './post.ts';

/** Tells one target, once. Throws Undelivered where it did not take it. */
export type Send = (access: AlertAccess, message: Message) => Promise<void>;

/** What a program is told: docs/json.md has the shape. */
export interface WebhookBody extends Message {
  schema: 1;
}

/** By the target's own protocol. */
export function sender({ zone }: Teller): Send {
  return async (access, message) => {
    switch (access.is) {
      case 'webhook': {
        const { url, token } = access;
        // Chat servers show `text` alone.
        const body: WebhookBody = { schema: 1, ...message, text: `${message.title}\n${message.text}` };
        return post({ url, token, id: message.id, body, secrets: secretsOfAccess(access) });
      }
      case 'ntfy': {
        const { url, token } = access;
        const body = notification(access.topic, message);
        return post({ url, token, id: message.id, body, secrets: secretsOfAccess(access) });
      }
      case 'mail': {
        // Loaded here, since most hosts send none.
        const { mail } = await import('./mail.ts');
        return mail(access, message, zone);
      }
    }
  };
}

/** ntfy makes a file of what is longer than 4096 bytes. */
const LONGEST_BYTES = 3_500;
const LONGEST_TITLE_BYTES = 200;
const PRIORITY = { low: 2, usual: 3, urgent: 5 };

/** As JSON, since a header takes no text of others. */
function notification(topic: string, { id, event, title, text, alert }: Message): object {
  const isUrgent = alert?.kind === 'service-down';
  return {
    topic,
    title: startOf(title, LONGEST_TITLE_BYTES),
    message: startOf(text, LONGEST_BYTES),
    priority: event === 'over' ? PRIORITY.low : isUrgent ? PRIORITY.urgent : PRIORITY.usual,
    // A newer server shows one that comes again in place of the first.
    sequence_id: id,
  };
}

/** A text that is no longer than that in UTF-8. */
function startOf(text: string, bytes: number): string {
  if (Buffer.byteLength(text) <= bytes) return text;
  const cut = new TextDecoder().decode(Buffer.from(text).subarray(0, bytes));
  return `${cut.replace(/\ufffd+$/, '')}…`;
}
