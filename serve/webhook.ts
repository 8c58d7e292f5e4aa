import { createHmac, timingSafeEqual } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import { z } from 'zod';
import { requestedTest } from '../domain/test-request.ts';
import { tryJson } from '../host/machine/durable-file.ts';

/** What the forge sends when something is written there: read within bounds, believed only once it is signed. */

/** Of a whole delivery. */
export const MOST_BYTES = 1_000_000;

/** What a delivery claims, to be read again from the forge: a comment, and of which repository. */
export interface Hint {
  repository: { owner: string; name: string };
  comment: number;
}

/**
 * The bytes of a body, so many at most and within this time; the rest is not waited for. `cut off`: whoever sent it is
 * gone.
 */
export async function readBody(
  incoming: IncomingMessage,
  limits: { bytes: number; ms: number },
): Promise<Buffer | 'too big' | 'too slow' | 'cut off'> {
  if (Number(incoming.headers['content-length'] ?? 0) > limits.bytes) return 'too big';
  return new Promise((resolve) => {
    const chunks: Buffer[] = [];
    let bytes = 0;
    const end = (what: Buffer | 'too big' | 'too slow' | 'cut off'): void => {
      clearTimeout(timer);
      incoming.off('data', take).off('end', whole).off('close', gone).off('error', gone);
      resolve(what);
    };
    const take = (chunk: Buffer): void => {
      bytes += chunk.length;
      if (bytes > limits.bytes) end('too big');
      else chunks.push(chunk);
    };
    const whole = (): void => end(Buffer.concat(chunks));
    const gone = (): void => end('cut off');
    const timer = setTimeout(() => end('too slow'), limits.ms);
    incoming.on('data', take).on('end', whole).on('close', gone).on('error', gone);
  });
}

/** Whether the signature, in hex, is that of these bytes. How long that takes says nothing of how much of it is right. */
export function isSigned(body: Buffer, signature: string, secret: string): boolean {
  const right = createHmac('sha256', secret).update(body).digest();
  if (!/^[0-9a-f]{64}$/i.test(signature)) return false;
  return timingSafeEqual(Buffer.from(signature, 'hex'), right);
}

/** By which name the forge tells of a comment under a pull request depends on its version. */
const EVENTS = new Set(['issue_comment', 'pull_request_comment']);

const NAME = /^[A-Za-z0-9_.-]{1,100}$/;

const claimed = z.object({
  action: z.literal('created'),
  is_pull: z.boolean().exactOptional(),
  comment: z.object({ id: z.int().positive(), body: z.string() }),
  repository: z.object({ full_name: z.string() }),
});

/**
 * What a signed delivery claims that is ours to look at: a new comment under a pull request that asks for a test. Null
 * for all else that a forge may tell; `no JSON` where it cannot be read.
 */
export function hintOf(event: string, body: Buffer): Hint | null | 'no JSON' {
  const said = tryJson(body.toString('utf8'));
  if (said === undefined) return 'no JSON';
  const checked = EVENTS.has(event) ? claimed.safeParse(said) : null;
  if (!checked?.success) return null;
  const { is_pull: isPull, comment, repository } = checked.data;
  if (isPull !== true && event !== 'pull_request_comment') return null;
  const [owner = '', name = '', ...more] = repository.full_name.split('/');
  if (more.length > 0 || !NAME.test(owner) || !NAME.test(name)) return null;
  return requestedTest(comment.body) === null ? null : { repository: { owner, name }, comment: comment.id };
}
