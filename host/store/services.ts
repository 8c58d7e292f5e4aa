import { readdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { checkedRecipe, isRecipeName, warmDomain } from '../../domain/names.ts';
import { SERVICE_OUTCOMES } from '../../domain/service.ts';
import { parseVersion } from '../../domain/version.ts';
import { Fault } from '../../domain/fault.ts';
import { passBoundary } from '../machine/boundary.ts';
import {
  appendDurably,
  newerSchema,
  noneIfMissing,
  readJson,
  syncFolder,
  textIfThere,
  tryJson,
  writeJson,
} from '../machine/durable-file.ts';

/**
 * What is known of each live service, under `<state>/services/<name>/`: `last-good.json` (the release that was healthy
 * last, and the one commit point of a reconcile), `underway.json` (a change of it has begun, and what undoes it),
 * `orders.json` (what an operator said, and which version was rolled back), `history.jsonl` (what reconciles did),
 * `snapshots/<id>/` (the data from before the last upgrade).
 */

const release = {
  version: z.string().refine((tag) => parseVersion(tag) !== null, 'not a release (x.y.z+app)'),
  commit: z.string().regex(/^[0-9a-f]{40}([0-9a-f]{24})?$/),
};

const snapshot = z.strictObject({
  id: z.string().regex(/^[0-9a-z-]+$/),
  /** Of the snapshot's manifest, which holds the sum of every volume's tar. */
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
  /** Of all its files. */
  bytes: z.number().int().nonnegative(),
});

export const lastGoodSchema = z.strictObject({
  schema: z.literal(1),
  service: z.string(),
  ...release,
  /** Since when, ISO 8601, UTC. */
  ts: z.iso.datetime(),
  /** The workflow ID of who found it healthy. */
  run: z.string(),
  /** Where it lives: names of volumes and secrets derive from it. */
  domain: z.string(),
  /** What of recipe.yml was set over .env.sample when it was deployed. */
  env: z.record(z.string(), z.string()),
  /** What its services ran on. */
  images: z.record(z.string(), z.strictObject({ image: z.string(), digest: z.string() })),
  /** The volumes that they had mounted, by name: without them it would come up empty. */
  volumes: z.array(z.string()),
});

export type LastGood = z.output<typeof lastGoodSchema>;

const underwaySchema = z.strictObject({
  schema: z.literal(1),
  ts: z.iso.datetime(),
  run: z.string(),
  /** What is being deployed. */
  to: z.strictObject(release),
  /** Whether nothing of it was there before, so that nothing is to be there when it is undone. */
  fresh: z.boolean(),
  /** Whether it may change data. */
  stateful: z.boolean(),
  /** The data from before; null as long as nothing newer may have touched it, and of a service without data. */
  snapshot: snapshot.nullable(),
  /** Why what was deployed is to be undone, and the file that has the rest; null while nobody knows. */
  unhealthy: z.strictObject({ why: z.string(), evidence: z.string() }).nullable(),
});

export type Underway = z.output<typeof underwaySchema>;

export const ordersSchema = z.strictObject({
  schema: z.literal(1),
  approved: z.strictObject({ version: z.string(), by: z.string(), ts: z.iso.datetime() }).nullable(),
  hold: z.strictObject({ reason: z.string(), by: z.string(), ts: z.iso.datetime() }).nullable(),
  rolledBack: z
    .strictObject({ version: z.string(), why: z.string(), evidence: z.string(), ts: z.iso.datetime() })
    .nullable(),
  /** Since a rollback failed nothing is reconciled. */
  stopped: z.strictObject({ why: z.string(), evidence: z.string(), ts: z.iso.datetime() }).nullable(),
});

export type Orders = z.output<typeof ordersSchema>;

const NO_ORDERS: Orders = { schema: 1, approved: null, hold: null, rolledBack: null, stopped: null };

export const serviceEventSchema = z.strictObject({
  schema: z.literal(1),
  ts: z.iso.datetime(),
  run: z.string(),
  outcome: z.enum([...SERVICE_OUTCOMES, 'adopted']),
  why: z.string(),
  /** What is healthy there afterwards; null when nothing is known to be. */
  version: z.string().nullable(),
});

export type ServiceEvent = z.output<typeof serviceEventSchema>;

export interface Services {
  /** Null when it was never healthy under our eyes. Throws Fault RecordUnreadable, also for one of another domain. */
  lastGood(service: string): Promise<LastGood | null>;
  /** The commit point: from here on this is the release to come back to. */
  commit(record: LastGood): Promise<void>;
  /** What was begun and not ended. Throws Fault RecordUnreadable. */
  underway(service: string): Promise<Underway | null>;
  begin(service: string, underway: Omit<Underway, 'schema'>): Promise<void>;
  /** It is ended: nothing is to be undone any more. */
  end(service: string): Promise<void>;
  orders(service: string): Promise<Orders>;
  order(service: string, change: Partial<Omit<Orders, 'schema'>>): Promise<void>;
  /** Adds what a reconcile did. */
  tell(service: string, event: Omit<ServiceEvent, 'schema'>): Promise<void>;
  /** What reconciles did, oldest first; of a line that was cut nothing. Throws Fault RecordUnreadable. */
  history(service: string): Promise<ServiceEvent[]>;
  /** Services that have a folder here, by name. */
  list(): Promise<string[]>;
  snapshotsFolder(service: string): string;
}

export function createServices({ state, zone }: { state: string; zone: string }): Services {
  const root = path.join(state, 'services');
  const folder = (service: string): string => path.join(root, checkedRecipe(service));
  const file = (service: string, name: string): string => path.join(folder(service), name);

  async function orders(service: string): Promise<Orders> {
    return (await readJson(file(service, 'orders.json'), ordersSchema)) ?? NO_ORDERS;
  }

  return {
    orders,
    async lastGood(service) {
      const written = file(service, 'last-good.json');
      const record = await readJson(written, lastGoodSchema, remedyOf(service));
      if (record === null) return null;
      if (record.service !== service) {
        const whose = JSON.stringify(record.service);
        throw new Fault('RecordUnreadable', `${written}: is the record of ${whose}; ${remedyOf(service)}`);
      }
      const domain = warmDomain(service, zone);
      if (record.domain === domain) return record;
      throw new Fault(
        'RecordUnreadable',
        `${written}: ${service} lives at ${record.domain}, and with the zone ${zone} it would be ${domain}; set "zone" back, or ${remedyOf(service)}`,
      );
    },
    async commit(record) {
      await writeJson(file(record.service, 'last-good.json'), lastGoodSchema.parse(record));
      passBoundary('reconcile.after-commit');
    },
    async underway(service) {
      return readJson(file(service, 'underway.json'), underwaySchema);
    },
    async begin(service, underway) {
      await writeJson(file(service, 'underway.json'), underwaySchema.parse({ schema: 1, ...underway }));
    },
    async end(service) {
      await rm(file(service, 'underway.json'), { force: true });
      await syncFolder(folder(service)).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'ENOENT') throw error;
      });
    },
    async order(service, change) {
      const changed = ordersSchema.parse({ ...(await orders(service)), ...change });
      await writeJson(file(service, 'orders.json'), changed);
    },
    async tell(service, event) {
      const line = JSON.stringify(serviceEventSchema.parse({ schema: 1, ...event }));
      await appendDurably(file(service, 'history.jsonl'), line);
    },
    async history(service) {
      const written = file(service, 'history.jsonl');
      return (await textIfThere(written)).split('\n').flatMap((line) => {
        const event = tryJson(line);
        const read = serviceEventSchema.safeParse(event);
        if (read.success) return [read.data];
        const newer = newerSchema(written, event, read.error);
        if (newer !== null) throw newer;
        return [];
      });
    },
    async list() {
      const entries = await readdir(root, { withFileTypes: true }).catch(noneIfMissing);
      return entries
        .filter((entry) => entry.isDirectory() && isRecipeName(entry.name))
        .map(({ name }) => name)
        .sort();
    },
    snapshotsFolder: (service) => path.join(folder(service), 'snapshots'),
  };
}

function remedyOf(service: string): string {
  return `put back a good copy, or move it away and take over what runs: recipe-sweep service adopt ${service}`;
}
