import { mkdir, readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import {
  ALERT_KINDS,
  adviceFor,
  isSameSubject,
  type Alert,
  type AlertKind,
  type AlertSubject,
} from '../../domain/alert.ts';
import { messageOf } from '../../domain/fault.ts';
import { all } from '../machine/all.ts';
import { noneIfMissing, readJson, syncFolder, writeJson } from '../machine/durable-file.ts';
import { exactly } from '../machine/exact-schema.ts';
import { folderName } from './places.ts';

/** An alert as it is on disk. Times are ISO 8601, UTC. */
export interface KeptAlert extends Alert {
  schema: 2;
  /** Since when it holds. */
  since: string;
  /** When it was found to hold last. */
  lastSeen: string;
  /** Null while it holds. */
  ended: string | null;
  /** What to do. */
  advice: string;
}

export interface AlertInFile extends KeptAlert {
  file: string;
}

/**
 * Alerts are one JSON file each below `<state>/alerts/`: those that hold there, under a name that says kind and
 * subject; those that are over in `ended/`; and in `seen/` whatever was moved there once everybody was told, or by who saw to
 * it.
 */
export interface Alerts {
  /** From then on it holds; one that holds already is the same, seen again. */
  raise(alert: Alert, now: Date): Promise<void>;
  /** It is over. Does nothing where it does not hold. */
  end(kind: AlertKind, subject: AlertSubject, now: Date): Promise<void>;
  /** Those that hold, by file, and what is wrong with those that cannot be read. */
  open(): Promise<{ alerts: AlertInFile[]; unreadable: string[] }>;
  /** The same of those that are over and were not archived. One that still stands as one that holds does hold. */
  over(): Promise<{ alerts: AlertInFile[]; unreadable: string[] }>;
  /** Moves one that is over to `seen/`. Does nothing where somebody did. */
  archive(alert: AlertInFile): Promise<void>;
  /** Throws away those that were over, or seen, before then. What does not go holds no other up. */
  discardOver(before: Date): Promise<void>;
}

/** Of schema 1 there was a file per run, which said nothing of when it began. */
export const alertSchema = exactly<KeptAlert>()(
  z.discriminatedUnion('schema', [
    z.strictObject({
      schema: z.literal(2),
      kind: z.enum(ALERT_KINDS),
      subject: z.strictObject({ is: z.enum(['recipe', 'host']), name: z.string() }),
      since: z.iso.datetime(),
      lastSeen: z.iso.datetime(),
      ended: z.iso.datetime().nullable(),
      message: z.string(),
      evidence: z.string().nullable(),
      advice: z.string(),
      run: z.string(),
    }),
    z
      .strictObject({
        schema: z.literal(1),
        ts: z.iso.datetime(),
        kind: z.enum(ALERT_KINDS),
        recipe: z.string().nullable(),
        message: z.string(),
        run: z.string(),
      })
      .transform(({ ts, kind, recipe, message, run }): KeptAlert => {
        const subject: AlertSubject =
          recipe === null ? { is: 'host', name: '' } : { is: 'recipe', name: recipe };
        const held = { since: ts, lastSeen: ts, ended: null, advice: adviceFor({ kind, subject }) };
        return { schema: 2, kind, subject, message, evidence: null, run, ...held };
      }),
  ]),
);

export function createAlerts(state: string): Alerts {
  const folder = path.join(state, 'alerts');
  const [ended, seen] = [path.join(folder, 'ended'), path.join(folder, 'seen')];

  async function read(place: string, isOne = (_name: string): boolean => true): ReturnType<Alerts['open']> {
    const alerts: AlertInFile[] = [];
    const unreadable: string[] = [];
    const names = await readdir(place).catch(noneIfMissing);
    for (const name of names.filter((one) => one.endsWith('.json') && isOne(one)).sort()) {
      const file = path.join(place, name);
      try {
        const alert = await readJson(file, alertSchema);
        if (alert) alerts.push({ ...alert, file });
      } catch (error) {
        unreadable.push(messageOf(error));
      }
    }
    return { alerts, unreadable };
  }

  async function holding(kind: AlertKind, subject: AlertSubject): Promise<AlertInFile[]> {
    const { alerts } = await read(folder, (name) => name.startsWith(`${kind}-`));
    return alerts.filter((alert) => alert.kind === kind && isSameSubject(alert.subject, subject));
  }

  return {
    async raise(alert, now) {
      const held = await holding(alert.kind, alert.subject);
      const lastSeen = now.toISOString();
      const since = [lastSeen, ...held.map((one) => one.since)].sort()[0] ?? lastSeen;
      const file = path.join(folder, `${nameOf(alert)}.json`);
      const written = { schema: 2, ...alert, since, lastSeen, ended: null, advice: adviceFor(alert) };
      await writeJson(file, alertSchema.parse(written));
      for (const older of held) if (older.file !== file) await rm(older.file, { force: true });
    },
    async end(kind, subject, now) {
      for (const { file, ...alert } of await holding(kind, subject)) {
        // By when it began, so that whoever does it again after a crash does the same.
        const name = `${alertId(alert)}.json`;
        await writeJson(path.join(ended, name), { ...alert, ended: now.toISOString() });
        await rm(file, { force: true });
        await syncFolder(folder);
      }
    },
    async open() {
      return read(folder);
    },
    async over() {
      const holds = new Set((await read(folder)).alerts.map(alertId));
      const { alerts, unreadable } = await read(ended);
      return { alerts: alerts.filter((alert) => !holds.has(alertId(alert))), unreadable };
    },
    async archive({ file }) {
      await mkdir(seen, { recursive: true });
      try {
        await rename(file, path.join(seen, path.basename(file)));
        await syncFolder(seen);
        await syncFolder(ended);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
      }
    },
    async discardOver(before) {
      const files: string[] = [];
      for (const place of [ended, seen]) {
        const names = await readdir(place).catch(noneIfMissing);
        files.push(...names.filter((name) => name.endsWith('.json')).map((name) => path.join(place, name)));
      }
      await all(
        files.map(async (file) => {
          // Moving a file changes this time, and not when it was written.
          const { ctimeMs } = await stat(file);
          if (ctimeMs < before.getTime()) await rm(file);
        }),
      );
    },
  };
}

/** What it is known by from its beginning to its end: by its kind, its subject and since when, as the name of a file. */
export function alertId(alert: KeptAlert): string {
  return `${nameOf(alert)}-${alert.since.replace(/[^0-9TZ]/g, '')}`;
}

/** What it is known by while it holds. */
function nameOf({ kind, subject }: Pick<Alert, 'kind' | 'subject'>): string {
  return subject.is === 'host' ? `${kind}-host` : `${kind}-recipe-${folderName(subject.name)}`;
}
