import { pino, type Logger } from 'pino';

/**
 * The log of a process that stays: one JSON object a line, to standard output or a file. Whatever is about a step or a
 * workflow says by `recipe`, `sweep`, `run` and `step` about which, as far as there is one.
 */
export function openLog(host: string, file?: string): Logger {
  return pino(
    {
      base: { host },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (level) => ({ level }) },
    },
    pino.destination({ dest: file ?? 1, sync: true, mkdir: true }),
  );
}
