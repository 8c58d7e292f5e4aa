/** What came of asking an app once. */
export type Answer =
  | {
      serves: true;
      /** What answered, in a few words. */
      what: string;
      /** Where it was HTTP. */
      status?: number;
    }
  | {
      serves: false;
      why: string;
      /** The way to the app is broken, whatever the app does: no name, no route, no proxy. */
      unreachable: boolean;
    };

export function refused(why: string): Answer {
  return { serves: false, why, unreachable: false };
}

/** Errors of the way to a host; a refused connection is not among them. */
const NO_WAY = new Set(['EHOSTUNREACH', 'ENETUNREACH', 'ETIMEDOUT', 'UND_ERR_CONNECT_TIMEOUT']);

export interface ConnectionError {
  /** In words. */
  what: string;
  code: string;
  /** There was no way to the host: its name does not resolve, or nothing leads to its address. */
  noWay: boolean;
}

/** Why a connection failed. Of several addresses that were tried, the last one's error. */
export function connectionError(error: unknown, host: string): ConnectionError {
  const last: unknown = error instanceof AggregateError ? (error.errors.at(-1) ?? error) : error;
  const code = last instanceof Error && 'code' in last ? String(last.code) : '';
  if (code === 'ENOTFOUND' || code.startsWith('EAI_')) {
    const what = `the name ${host} does not resolve (${code}); it needs a DNS record that leads to this host`;
    return { what, code, noWay: true };
  }
  return { what: last instanceof Error ? last.message || code : String(last), code, noWay: NO_WAY.has(code) };
}
