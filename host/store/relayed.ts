import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import type { Told } from '../../domain/telling.ts';
import { noneIfMissing, readJson, writeJson } from '../machine/durable-file.ts';
import { exactly } from '../machine/exact-schema.ts';

/** What one target was told of the alerts there are, as it is on disk. Times are ISO 8601, UTC. */
export interface RelayedTo {
  schema: 1;
  /** Its name, for people. */
  target: string;
  /** Since when it is to be told. */
  since: string;
  /** Since when it does not take what it is told, when that was tried last, and why; null when it does. */
  failing: { since: string; at: string; error: string } | null;
  /** By the alert's ID. */
  alerts: Record<string, Told>;
}

const time = z.iso.datetime();

const relayedSchema = exactly<RelayedTo>()(
  z.strictObject({
    schema: z.literal(1),
    target: z.string(),
    since: time,
    failing: z.strictObject({ since: time, at: time, error: z.string() }).nullable(),
    alerts: z.record(
      z.string(),
      z.strictObject({
        holds: z
          .strictObject({ times: z.number().int().min(1), at: time, gist: z.array(z.string()) })
          .nullable(),
        over: time.nullable(),
      }),
    ),
  }),
);

/** One file for each target, `<state>/alerts/relayed/<key>.json`, which only who has its lock writes. */
export interface Relayed {
  /** Null where it was never looked at for this target. */
  read(key: string): Promise<RelayedTo | null>;
  write(key: string, relayed: RelayedTo): Promise<void>;
  /** Where the lock of a target is. */
  lockOf(key: string): string;
  /** Forgets all targets but these: one that comes back is told anew. */
  keepOnly(keys: readonly string[]): Promise<void>;
}

const REMEDY = 'put back a good copy, or move the file away: the target is then told again of all that holds';

export function createRelayed(state: string): Relayed {
  const folder = path.join(state, 'alerts', 'relayed');
  const fileOf = (key: string): string => path.join(folder, `${key}.json`);
  return {
    read: (key) => readJson(fileOf(key), relayedSchema, REMEDY),
    write: (key, relayed) => writeJson(fileOf(key), relayedSchema.parse(relayed)),
    lockOf: (key) => path.join(folder, `${key}.lock`),
    async keepOnly(keys) {
      const names = await readdir(folder).catch(noneIfMissing);
      for (const name of names.filter((one) => !keys.includes(one.replace(/\..*$/, '')))) {
        await rm(path.join(folder, name), { force: true });
      }
    },
  };
}
