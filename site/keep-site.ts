import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../domain/fault.ts';
import { createSite } from './write-site.ts';
import type { Now, SiteConfig } from './read.ts';

/** What is written to the log. */
export interface SiteLog {
  info(about: object, message: string): void;
  warn(about: object, message: string): void;
}

export interface KeepSiteOptions {
  log: SiteLog;
  /** Ends it. */
  signal: AbortSignal;
  /** What no file says; it answers, whatever is away. */
  now(): Promise<Now>;
}

/** How long nobody looks whether anything changed, at least. */
const LOOK_MS = 2_000;
/** It takes no more of the host's time than one part in so many. */
const SHARE = 20;

/**
 * Keeps the site as the disk says, until the signal: what an outcome changes is written within seconds. Never rejects; what
 * goes wrong is logged when it is first seen, and tried again. It is a loop of the worker's process and no step: whether it
 * goes wrong changes no verdict.
 */
export async function keepSite(config: SiteConfig, { log, signal, now }: KeepSiteOptions): Promise<void> {
  const site = createSite(config);
  let last = '';
  /** As of the last time that all was written. */
  let known: Now | null = null;
  while (!signal.aborted) {
    const began = performance.now();
    let trouble: string;
    try {
      const seen = await now();
      const { written, problems } = await site.update(seen, signal);
      known = seen;
      trouble = problems.join('\n');
      if (written > 0)
        log.info({ files: written, ms: Math.round(performance.now() - began) }, 'site written');
    } catch (error) {
      if (signal.aborted) break;
      trouble = messageOf(error);
    }
    if (trouble !== '' && trouble !== last)
      log.warn({ error: trouble }, 'the site is not all that it is to be');
    last = trouble;
    const rest = Math.max(LOOK_MS, (performance.now() - began) * SHARE);
    await sleep(rest, undefined, { signal }).catch(() => undefined);
  }
  // What ended just before is told as well; who has the host, nobody looks at any more.
  if (known !== null) await site.update({ ...known, holder: 'unknown' }).catch(() => undefined);
}
