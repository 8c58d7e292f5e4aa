import { statfs } from 'node:fs/promises';
import { stackName, warmDomain } from '../domain/names.ts';
import { Fault } from '../domain/fault.ts';
import { passBoundary } from './boundary.ts';
import type { CanonicalRecord, Canonicals } from './canonicals.ts';
import type { Deployer } from './deployer.ts';
import type { SnapshotRef, Snapshots } from './snapshots.ts';

/** The data of a recipe's canonical at its warm domain: retained volumes on one side, the snapshot on the other. */
export interface WarmData {
  /**
   * Brings the warm domain to what the record says, whatever happened before: stopped; volumes as in the
   * snapshot if they were in use or are missing; with no record, nothing at all. Answers the record.
   */
  settle(recipe: string): Promise<CanonicalRecord | null>;
  /** Settles, then says on disk that the data is in use from now on. */
  attach(recipe: string, run: string): Promise<CanonicalRecord | null>;
  /** Takes a snapshot of the stopped app's volumes. Throws Fault Disk when it would not fit. */
  snapshot(recipe: string, id: string): Promise<SnapshotRef>;
  /** After the record was written: the data is what it says, older snapshots go. */
  committed(record: CanonicalRecord): Promise<void>;
}

export interface WarmDataSettings {
  zone: string;
  headroom: number;
  canonicals: Canonicals;
  snapshots: Snapshots;
  deployer: Deployer;
  /** Throws when this attempt no longer holds the host. */
  guard(): Promise<void>;
  report(what: string): void;
  now(): Date;
}

export function createWarmData(settings: WarmDataSettings): WarmData {
  const { zone, canonicals, snapshots, deployer, guard, report, now } = settings;
  const stackOf = (recipe: string): string => stackName(warmDomain(recipe, zone));

  async function restore(record: CanonicalRecord): Promise<void> {
    const stack = stackOf(record.recipe);
    const folder = canonicals.snapshotsFolder(record.recipe);
    report(`verifying snapshot ${record.snapshot.id}`);
    const manifest = await snapshots.verify(folder, record.snapshot);
    await guard();
    report(`restoring snapshot ${record.snapshot.id}`);
    await canonicals.markAttached(record.recipe, record.run, now());
    passBoundary('settle.after-mark');
    const names = manifest.volumes.map(({ name }) => name);
    await deployer.trim(stack, { volumes: names, secrets: manifest.secrets });
    passBoundary('settle.after-trim');
    const volumes = [];
    for (const name of names) volumes.push(await deployer.ensureVolume(stack, record.recipe, name));
    await guard();
    passBoundary('settle.after-volumes');
    await snapshots.unpack(folder, manifest, volumes);
    passBoundary('settle.after-restore');
  }

  async function isRunning(stack: string): Promise<boolean> {
    return (await deployer.owned()).some((one) => one.stack === stack && one.running);
  }

  async function isWhole(record: CanonicalRecord): Promise<boolean> {
    if (await canonicals.isAttached(record.recipe)) return false;
    const folder = canonicals.snapshotsFolder(record.recipe);
    const wanted = await snapshots.volumeNames(folder, record.snapshot);
    const found = new Set((await deployer.volumes(stackOf(record.recipe))).map(({ name }) => name));
    return wanted.length === found.size && wanted.every((name) => found.has(name));
  }

  async function settle(recipe: string): Promise<CanonicalRecord | null> {
    const record = await canonicals.read(recipe);
    const stack = stackOf(recipe);
    if (record === null) {
      report(`clearing ${stack}`);
      await deployer.remove(stack);
      await snapshots.prune(canonicals.snapshotsFolder(recipe), null);
      await canonicals.clearAttached(recipe);
      passBoundary('settle.after-nothing');
      return null;
    }
    // Whoever runs there uses the data, whether it said so or not.
    if (await isRunning(stack)) await canonicals.markAttached(recipe, record.run, now());
    await deployer.undeploy(stack);
    passBoundary('settle.after-undeploy');
    if (!(await isWhole(record))) await restore(record);
    await committed(record);
    return record;
  }

  async function committed(record: CanonicalRecord): Promise<void> {
    await guard();
    await canonicals.completeHistory(record);
    await canonicals.clearAttached(record.recipe);
    passBoundary('settle.after-clear');
    await snapshots.prune(canonicals.snapshotsFolder(record.recipe), record.snapshot.id);
    passBoundary('settle.after-prune');
  }

  return {
    settle,
    committed,
    async attach(recipe, run) {
      const record = await settle(recipe);
      await guard();
      await canonicals.markAttached(recipe, run, now());
      return record;
    },
    async snapshot(recipe, id) {
      const stack = stackOf(recipe);
      const volumes = await deployer.volumes(stack);
      const folder = canonicals.snapshotsFolder(recipe);
      await guard();
      const ref = await snapshots.take(folder, id, recipe, volumes, await deployer.secrets(stack));
      const { bavail, bsize } = await statfs(folder);
      if (bavail * bsize < settings.headroom) {
        throw new Fault(
          'Disk',
          `${folder}: the snapshot leaves less than the headroom of ${settings.headroom} bytes free; free some space`,
        );
      }
      return ref;
    },
  };
}
