/**
 * Ctrl-C or SIGTERM ends what is being measured, which takes away what it started. A second one ends the bench
 * at once.
 */

const controller = new AbortController();

/** Aborted when the bench is asked to end. */
export const interruption = controller.signal;

export function heedSignals(): void {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      const why = `ended by ${signal}`;
      console.error(`${why}: taking away what was started`);
      controller.abort(new Error(why));
    });
  }
}
