import { appendFile, mkdir } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { SPENT_ON, type Span } from '../../domain/time-spent.ts';
import { newerSchema, textIfThere, tryJson } from '../machine/durable-file.ts';
import { exactly } from '../machine/exact-schema.ts';
import { runFolderName, runsRoot } from './places.ts';

/** What an attempt of a step spent its time on. */
const lineSchema = z.strictObject({
  schema: z.literal(1),
  spent: z.array(
    exactly<Span>()(z.strictObject({ on: z.enum(SPENT_ON), fromMs: z.number(), toMs: z.number() })),
  ),
});

/**
 * Where runs' time goes, as each attempt of a step notes it, in `time.jsonl` of a run's folder. It is no record that
 * anything depends on: a line that a crash cut short counts for nothing, and none is waited for until it is on the disk.
 */
export interface Times {
  add(run: string, spans: readonly Span[]): Promise<void>;
  /** Throws Fault RecordUnreadable for what a newer version wrote. */
  read(run: string): Promise<Span[]>;
}

export function createTimes(state: string): Times {
  const fileOf = (run: string): string => path.join(runsRoot(state), runFolderName(run), 'time.jsonl');
  return {
    async add(run, spent) {
      if (spent.length === 0) return;
      const file = fileOf(run);
      await mkdir(path.dirname(file), { recursive: true });
      await appendFile(file, `${JSON.stringify({ schema: 1, spent })}\n`);
    },
    async read(run) {
      const file = fileOf(run);
      const lines = (await textIfThere(file)).split('\n').filter((line) => line !== '');
      return lines.flatMap((line) => {
        const written = tryJson(line);
        const { data, error } = lineSchema.safeParse(written);
        if (data) return data.spent;
        const newer = newerSchema(file, written, error);
        if (newer) throw newer;
        return [];
      });
    },
  };
}
