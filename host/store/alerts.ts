import { readdir, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { messageOf } from '../../domain/fault.ts';
import { all } from '../machine/all.ts';
import { noneIfMissing, readJson, writeJson } from '../machine/durable-file.ts';

const KINDS = [
  'tag-moved',
  'canonical-unreadable',
  'promote-failed',
  /** A run ended, and not everything of it could be removed. */
  'left-behind',
  /** The reaper could not remove, or put back, what a run left. */
  'not-reaped',
  /** Something went wrong with a sweep beside its recipes' outcomes. */
  'sweep-problems',
] as const;

/** Something an operator must look at; relayed, and archived in `seen/`, by whoever watches `<state>/alerts/`. */
export interface Alert {
  kind: (typeof KINDS)[number];
  /** Null where it is about the host. */
  recipe: string | null;
  message: string;
  run: string;
}

export interface Alerts {
  /** Writes one JSON file per alert and run; raising the same one again replaces it. */
  raise(alert: Alert, now: Date): Promise<void>;
  /** Those that nobody has archived, by file, and what is wrong with those that cannot be read. */
  open(): Promise<{ alerts: (Alert & { file: string })[]; unreadable: string[] }>;
  /** Throws away what was archived, in `<state>/alerts/seen/`, before then. What does not go holds no other up. */
  discardSeen(before: Date): Promise<void>;
}

const alertSchema = z.object({
  schema: z.literal(1),
  kind: z.enum(KINDS),
  recipe: z.string().nullable(),
  message: z.string(),
  run: z.string(),
});

export function createAlerts(state: string): Alerts {
  const folder = path.join(state, 'alerts');
  return {
    async raise(alert, now) {
      const plain = (text: string): string => text.replace(/[^A-Za-z0-9]+/g, '-').slice(-60);
      const about = [alert.kind, ...(alert.recipe === null ? [] : [plain(alert.recipe)]), plain(alert.run)];
      const file = path.join(folder, `${about.join('-')}.json`);
      await writeJson(file, { schema: 1, ts: now.toISOString(), ...alert });
    },
    async open() {
      const alerts: (Alert & { file: string })[] = [];
      const unreadable: string[] = [];
      const names = await readdir(folder).catch(noneIfMissing);
      for (const name of names.filter((one) => one.endsWith('.json')).sort()) {
        const file = path.join(folder, name);
        try {
          const alert = await readJson(file, alertSchema);
          if (alert) alerts.push({ ...alert, file });
        } catch (error) {
          unreadable.push(messageOf(error));
        }
      }
      return { alerts, unreadable };
    },
    async discardSeen(before) {
      const seen = path.join(folder, 'seen');
      const names = (await readdir(seen).catch(noneIfMissing)).filter((name) => name.endsWith('.json'));
      await all(
        names.map(async (name) => {
          const file = path.join(seen, name);
          // Moving a file there changes this time, and not when it was written.
          const { ctimeMs } = await stat(file);
          if (ctimeMs < before.getTime()) await rm(file);
        }),
      );
    },
  };
}
