import { EXIT } from './failure.ts';

const ASKED_TO_STOP = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

/**
 * Aborts when the process is asked to stop (Ctrl-C, systemd, a closed terminal). Asked a second time, the
 * process leaves at once.
 */
export function stopSignal(): { signal: AbortSignal; dispose(): void } {
  const controller = new AbortController();
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(EXIT.interrupted);
    controller.abort();
  };
  for (const name of ASKED_TO_STOP) process.on(name, stop);
  return {
    signal: controller.signal,
    dispose() {
      for (const name of ASKED_TO_STOP) process.off(name, stop);
    },
  };
}
