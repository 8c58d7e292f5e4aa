import { Runtime, type Logger } from '@temporalio/worker';
import { Fault, messageOf } from '../domain/fault.ts';
import type { Config } from '../host/config/config.ts';

/**
 * Installs Temporal's runtime for this process, once; with `metrics.listen` it shows its own numbers there, under names as
 * Prometheus has them: docs/metrics.md. Throws Fault BadConfig where it cannot listen.
 */
export function installRuntime(logger: Logger, { metrics }: Pick<Config, 'metrics'>): void {
  try {
    Runtime.install({
      logger,
      shutdownSignals: [],
      ...(metrics === undefined
        ? {}
        : {
            telemetryOptions: {
              metrics: {
                prometheus: {
                  bindAddress: metrics.listen,
                  countersTotalSuffix: true,
                  unitSuffix: true,
                  useSecondsForDurations: true,
                },
              },
            },
          }),
    });
  } catch (error) {
    if (metrics === undefined) throw error;
    throw new Fault('BadConfig', `metrics.listen: ${metrics.listen}: ${whyClosed(messageOf(error))}`, {
      cause: error,
    });
  }
}

/** The runtime says it in words alone, with the system's number of the error. */
function whyClosed(message: string): string {
  if (message.includes('(os error 98)')) {
    return 'something else listens there, another worker perhaps: end it (ss -ltnp names it), or set another port';
  }
  if (message.includes('(os error 99)')) return 'not an address of this host';
  return message;
}
