import { NO_NEED, wantedOn, type Disk, type Place } from '../domain/disk.ts';
import { countOutcomes, type SweepReport } from '../domain/report.ts';
import { sweepsIn, type FleetRecipe } from '../host/fleet.ts';
import { sizesOf } from '../host/machine/headroom.ts';
import type { Reports } from '../host/store/reports.ts';
import { seconds, type Sample } from './families.ts';

/** A sweep under way has runs and no report, and others may have been thrown away: so many are looked for. */
const MOST_LOOKED_FOR = 5;

/**
 * The report of the last sweep that ended; null where none did. Which one that is the indexes of the recipes' runs say,
 * which are in memory: of hundreds of reports one is read. Throws Fault RecordUnreadable.
 */
export async function lastReport(
  fleet: readonly FleetRecipe[],
  reports: Pick<Reports, 'read'>,
): Promise<SweepReport | null> {
  for (const { id } of sweepsIn(fleet).slice(0, MOST_LOOKED_FOR)) {
    const report = await reports.read(id);
    if (report !== null) return report;
  }
  return null;
}

export function sweepSamples(report: SweepReport): Sample[] {
  const outcomes = countOutcomes(report.recipes.map(({ outcome }) => outcome));
  return [
    ['last_sweep_start_timestamp_seconds', {}, seconds(report.started)],
    ['last_sweep_end_timestamp_seconds', {}, seconds(report.ended)],
    ['last_sweep_verdict', { verdict: report.verdict }, 1],
    ['last_sweep_problems', {}, report.problems.length],
    ...outcomes.map(([outcome, count]): Sample => ['last_sweep_recipes', { outcome }, count]),
  ];
}

/** Where disks are measured. */
interface Measured {
  places: Place[];
  folder: string;
}

/**
 * The disks as they are now. Which there are the last report says, since whoever answers strangers has no way to the
 * engine; before it there is the state folder's. One that cannot be seen from here is left out.
 */
export async function diskSamples(
  { state, headroom }: { state: string; headroom: number },
  report: SweepReport | null,
): Promise<Sample[]> {
  const known = report?.disk?.disks ?? [];
  const disks: Measured[] = known.map(({ places, folder }) => ({
    places,
    // In a container the engine's folder is not there, although the same disk may be.
    folder: places.includes('state') ? state : folder,
  }));
  if (!disks.some(({ places }) => places.includes('state'))) disks.push({ places: ['state'], folder: state });
  const need = report?.disk?.next ?? NO_NEED;
  const found = await Promise.all(
    disks.map(async ({ places, folder }): Promise<Sample[]> => {
      const sizes = await sizesOf(folder).catch(() => null);
      if (sizes === null) return [];
      const disk: Disk = { places, folder, ...sizes };
      const labels = { places: places.join(' and ') };
      return [
        ['disk_size_bytes', labels, disk.size],
        ['disk_free_bytes', labels, disk.free],
        ['disk_headroom_bytes', labels, headroom],
        ['disk_wanted_bytes', labels, wantedOn(disk, headroom, need)],
      ];
    }),
  );
  return found.flat();
}
