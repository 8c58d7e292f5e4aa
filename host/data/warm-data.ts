import { stackName, warmDomain } from '../../domain/names.ts';
import { Fault } from '../../domain/fault.ts';
import type { StackRef } from '../../domain/lifetime.ts';
import { passBoundary } from '../machine/boundary.ts';
import type { CanonicalRecord, Canonicals } from '../store/canonicals.ts';
import type { Deployer } from '../deploy/deployer.ts';
import type { Stacks } from '../deploy/stacks.ts';
import type { SnapshotManifest, SnapshotRef, Snapshots } from './snapshots.ts';
import { createStackData, type RoomForSnapshot } from './stack-data.ts';

/** The data of a recipe's canonical at its warm domain: retained volumes on one side, the snapshot on the other. */
export interface WarmData {
  /**
   * Brings the warm domain to what the record says, whatever happened before: stopped; volumes as in the
   * snapshot if they were in use or are missing; with no record, or no data, nothing at all. Answers the record. Throws Fault
   * SecretsLost, with the data as it is, when secrets that belong to it are gone.
   */
  settle(recipe: string): Promise<CanonicalRecord | null>;
  /** Looks, changing nothing, whether a promote could use the canonical. Throws as settle does. */
  check(recipe: string): Promise<void>;
  /** Settles, then says on disk that the data is in use from now on. */
  attach(recipe: string, run: string): Promise<CanonicalRecord | null>;
  /** What the stopped app's volumes take, and whether a snapshot of them would fit on the disk. */
  roomFor(recipe: string): Promise<RoomForSnapshot>;
  /** Takes a snapshot of the stopped app's volumes. */
  snapshot(recipe: string, id: string): Promise<SnapshotRef>;
  /**
   * Gives the data up and keeps the record, which says so from then on, by whom and why: the one commit point, after which
   * whoever comes next finishes what was begun. Answers the record.
   */
  drop(record: CanonicalRecord, by: { run: string; why: string }): Promise<CanonicalRecord>;
  /** After the record was written: the data is what it says, older snapshots go. */
  committed(record: CanonicalRecord): Promise<void>;
}

export interface WarmDataSettings {
  zone: string;
  headroom: number;
  canonicals: Canonicals;
  snapshots: Snapshots;
  deployer: Pick<Deployer, 'undeploy' | 'remove'>;
  stacks: Pick<Stacks, 'owned' | 'volumes' | 'secrets' | 'trim' | 'ensureVolume'>;
  /** Throws when this attempt no longer holds the host. */
  guard(): Promise<void>;
  report(what: string): void;
  now(): Date;
}

export function createWarmData(settings: WarmDataSettings): WarmData {
  const { zone, canonicals, snapshots, deployer, stacks, guard, report, now } = settings;
  const data = createStackData(settings);
  const stackOf = (recipe: string): string => stackName(warmDomain(recipe, zone));
  const refOf = (recipe: string): StackRef => ({ stack: stackOf(recipe), lifetime: 'warm' });

  async function restore(record: CanonicalRecord, snapshot: SnapshotRef): Promise<void> {
    const folder = canonicals.snapshotsFolder(record.recipe);
    report(`verifying snapshot ${snapshot.id}`);
    const manifest = await snapshots.verify(folder, snapshot);
    await guard();
    report(`restoring snapshot ${snapshot.id}`);
    await canonicals.markAttached(record.recipe, record.run, record.version, now());
    passBoundary('settle.after-mark');
    await data.putBack(folder, manifest, refOf(record.recipe));
  }

  async function isRunning(stack: string): Promise<boolean> {
    return (await stacks.owned()).some((one) => one.stack === stack && one.running);
  }

  async function isWhole(record: CanonicalRecord, { volumes }: SnapshotManifest): Promise<boolean> {
    if (await canonicals.isAttached(record.recipe)) return false;
    const found = new Set((await data.volumes(stackOf(record.recipe))).map(({ name }) => name));
    return volumes.length === found.size && volumes.every(({ name }) => found.has(name));
  }

  /**
   * What the canonical's snapshot holds, once all that belongs to its data is known to be to be had. The names come
   * first: under another zone every secret would seem to be gone.
   */
  async function usable(record: CanonicalRecord, snapshot: SnapshotRef): Promise<SnapshotManifest> {
    const manifest = await snapshots.manifest(canonicals.snapshotsFolder(record.recipe), snapshot);
    checkNames(record, manifest);
    await checkSecrets(record, manifest);
    return manifest;
  }

  /** A record from before records named their domain: the names of its data do. */
  function checkNames({ recipe, version }: CanonicalRecord, { volumes, secrets }: SnapshotManifest): void {
    const start = `${stackOf(recipe)}_`;
    const other = [...volumes.map(({ name }) => name), ...secrets].find((name) => !name.startsWith(start));
    if (other === undefined) return;
    throw new Fault(
      'RecordUnreadable',
      `the data of ${recipe} ${version} has ${other}, and with the zone ${zone} its names begin with ${start}; set "zone" back, or give it up: recipe-sweep canonical forget ${recipe}`,
    );
  }

  async function checkSecrets(
    { recipe, version }: CanonicalRecord,
    { secrets }: SnapshotManifest,
  ): Promise<void> {
    const there = new Set(await stacks.secrets(stackOf(recipe)));
    const gone = secrets.filter((name) => !there.has(name));
    if (gone.length === 0) return;
    throw new Fault(
      'SecretsLost',
      `secrets of the canonical ${recipe} ${version} are gone from the swarm: ${gone.join(', ')}. Its data cannot be opened with new ones; create them again with their old values, or give the canonical up: recipe-sweep canonical forget ${recipe}`,
    );
  }

  async function settle(recipe: string): Promise<CanonicalRecord | null> {
    const record = await canonicals.read(recipe);
    const stack = stackOf(recipe);
    if (record === null || record.snapshot === null) {
      report(`clearing ${stack}`);
      await deployer.remove(refOf(recipe));
      if (record === null) {
        await snapshots.prune(canonicals.snapshotsFolder(recipe), null);
        await canonicals.clearAttached(recipe);
      } else {
        await committed(record);
      }
      passBoundary('settle.after-nothing');
      return record;
    }
    // Whoever runs there uses the data, whether it said so or not.
    if (await isRunning(stack)) await canonicals.markAttached(recipe, record.run, record.version, now());
    await deployer.undeploy(refOf(recipe));
    passBoundary('settle.after-undeploy');
    const manifest = await usable(record, record.snapshot);
    if (!(await isWhole(record, manifest))) await restore(record, record.snapshot);
    await committed(record);
    return record;
  }

  async function committed(record: CanonicalRecord): Promise<void> {
    await guard();
    await canonicals.completeHistory(record);
    await snapshots.prune(canonicals.snapshotsFolder(record.recipe), record.snapshot?.id ?? null);
    passBoundary('settle.after-prune');
    // Last, since the reaper looks only after what is marked: it would leave an older snapshot where it is.
    await canonicals.clearAttached(record.recipe);
    passBoundary('settle.after-clear');
  }

  return {
    settle,
    committed,
    async check(recipe) {
      const record = await canonicals.read(recipe);
      if (record?.snapshot) await usable(record, record.snapshot);
    },
    async attach(recipe, run) {
      const record = await settle(recipe);
      await guard();
      await canonicals.markAttached(recipe, run, record?.version ?? null, now());
      return record;
    },
    async drop(record, droppedBy) {
      const { recipe } = record;
      // Once the record has no data there is nothing else by which its promotion would be known.
      await canonicals.completeHistory(record);
      await guard();
      await canonicals.markAttached(recipe, droppedBy.run, record.version, now());
      passBoundary('drop.after-mark');
      const dropped = { ...record, snapshot: null, dropped: now().toISOString(), droppedBy };
      await guard();
      await canonicals.write(dropped);
      passBoundary('drop.after-record');
      await settle(recipe);
      return dropped;
    },
    roomFor: (recipe) => data.roomFor(canonicals.snapshotsFolder(recipe), stackOf(recipe)),
    snapshot: (recipe, id) => data.snapshot(canonicals.snapshotsFolder(recipe), id, recipe, stackOf(recipe)),
  };
}
