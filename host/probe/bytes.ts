import { createContext, runInContext } from 'node:vm';

/** Bytes of an answer that are read and judged. */
export const MOST_BYTES = 64 * 1024;

/**
 * A pattern that goes astray is cut off, since nothing else of the worker runs meanwhile, and no rule finds all that
 * do. But the app is red then for a mistake in recipe.yml, so the usual one is refused when that is read, too
 * (host/recipes/recipe-yml.ts).
 */
const MATCH_MS = 200;

/** Looks for `expect` in the hexadecimal text of bytes. A match begins where a byte begins. */
export interface BytePattern {
  /** As the recipe has it. */
  written: string;
  /** Throws when it takes too long to look. */
  foundIn(bytes: Buffer): boolean;
}

/** Throws SyntaxError when it is no regular expression. */
export function bytePattern(expect: string): BytePattern {
  const pattern = new RegExp(`^(?:..)*?(?:${expect})`);
  const context = createContext({ pattern, text: '' });
  return {
    written: expect,
    foundIn(bytes) {
      context['text'] = bytes.toString('hex');
      try {
        return runInContext('pattern.test(text)', context, { timeout: MATCH_MS }) as boolean;
      } catch (error) {
        // An error of that context is no Error of ours.
        const { code } = error as { code?: unknown };
        if (code !== 'ERR_SCRIPT_EXECUTION_TIMEOUT') throw error;
        throw new Error(`probe.expect takes longer than ${MATCH_MS} ms to be looked for`, { cause: error });
      }
    },
  };
}

/** The beginning of an answer that does not match, for the reason. */
export function excerpt(bytes: Buffer): string {
  const shown = bytes.subarray(0, 32).toString('hex');
  return bytes.length > 32 ? `${shown}… (${bytes.length} bytes)` : shown;
}
