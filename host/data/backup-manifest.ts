import { z } from 'zod';

const hook = z.strictObject({ hook: z.string(), service: z.string(), command: z.string() });

/** A folder that leads to what was archived. */
const parent = z.strictObject({ name: z.string(), uid: z.number(), gid: z.number(), mode: z.number() });

const archive = z.strictObject({
  /** In the folder of the manifest. */
  file: z.string().regex(/^\d+\.tar$/),
  /** What of the volume; null for all of it. */
  path: z.string().nullable(),
  /** The folders that lead to it. */
  parents: z.array(parent),
  sha256: z.string(),
  bytes: z.number().int().nonnegative(),
  /** Regular files in it, our own mark not counted. */
  files: z.number().int().nonnegative(),
});

/** manifest.json: what is in an archive, and what else a restore from it needs. */
export const backupManifest = z.strictObject({
  schema: z.literal(1),
  stack: z.string(),
  hooks: z.strictObject({ beforeRestore: z.array(hook), afterRestore: z.array(hook) }),
  volumes: z.array(
    z.object({
      /** On the engine. */
      name: z.string(),
      /** Our mark was in it, and is in the archive. */
      marked: z.boolean(),
      archives: z.array(archive),
    }),
  ),
});

export type BackupManifest = z.output<typeof backupManifest>;
export type ArchivedVolume = BackupManifest['volumes'][number];
export type Parent = z.output<typeof parent>;
