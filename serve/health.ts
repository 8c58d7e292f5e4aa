import { Fault } from '../domain/fault.ts';

/** Whether what `serve` needs answers. */
export type Health = { ok: boolean } & Record<string, string | boolean>;

/**
 * Asks each part, all at once and no more often than this. Of what a part throws only our own word is told: whoever
 * asks here is a stranger.
 */
export function createHealth(
  parts: Readonly<Record<string, () => Promise<unknown>>>,
  freshMs: number,
  now: () => number = () => performance.now(),
): () => Promise<Health> {
  let asked: { atMs: number; health: Promise<Health> } | null = null;
  return () => {
    if (asked === null || now() - asked.atMs >= freshMs) asked = { atMs: now(), health: askAll(parts) };
    return asked.health;
  };
}

async function askAll(parts: Readonly<Record<string, () => Promise<unknown>>>): Promise<Health> {
  const found = await Promise.all(
    Object.entries(parts).map(async ([name, ask]) => [name, await ask().then(() => 'ok', stateOf)] as const),
  );
  return { ok: found.every(([, state]) => state === 'ok'), ...Object.fromEntries(found) };
}

function stateOf(error: unknown): string {
  return error instanceof Fault && error.type === 'BadConfig' ? 'does not let us in' : 'does not answer';
}
