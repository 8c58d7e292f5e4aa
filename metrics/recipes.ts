import { outcomeName } from '../domain/outcome.ts';
import { standingOf } from '../domain/standing.ts';
import type { FleetRecipe } from '../host/fleet.ts';
import { seconds, type Sample } from './families.ts';

/** What is to be told of each recipe: whether it is enrolled, and of one that is where it and its canonical stand. */
export function recipeSamples(fleet: readonly FleetRecipe[], now: Date): Sample[] {
  return fleet.flatMap((one): Sample[] => {
    const { recipe, folder } = one;
    const isEnrolled = folder !== null && folder.exception === null;
    return [
      ...(folder === null ? [] : [['recipe_enrolled', { recipe }, Number(isEnrolled)] satisfies Sample]),
      ...(isEnrolled ? enrolledSamples(one, now) : []),
      ...canonicalSamples(one),
    ];
  });
}

function enrolledSamples({ recipe, runs, problems }: FleetRecipe, now: Date): Sample[] {
  const { is, latest, verdict, redRuns, redSince } = standingOf(recipe, runs, now.toISOString());
  const samples: Sample[] = [
    ['recipe_problems', { recipe }, problems.length],
    ['recipe_standing', { recipe, standing: is }, 1],
    ['recipe_red_runs', { recipe }, redRuns],
  ];
  if (redSince !== null) samples.push(['recipe_red_since_timestamp_seconds', { recipe }, seconds(redSince)]);
  if (latest !== null) {
    samples.push(
      ['recipe_outcome', { recipe, outcome: outcomeName(latest.outcome) }, 1],
      ['recipe_last_run_timestamp_seconds', { recipe }, seconds(latest.ended)],
    );
  }
  if (verdict !== null) {
    samples.push(
      ['recipe_tested_timestamp_seconds', { recipe }, seconds(verdict.ended)],
      [
        'recipe_run_duration_seconds',
        { recipe },
        (Date.parse(verdict.ended) - Date.parse(verdict.started)) / 1000,
      ],
    );
    if (verdict.level !== null) samples.push(['recipe_level', { recipe }, verdict.level]);
    for (const { tier, ms } of verdict.tiers ?? []) {
      if (ms !== null) samples.push(['recipe_tier_duration_seconds', { recipe, tier }, ms / 1000]);
    }
  }
  return samples;
}

/** Of a recipe that is no longer enrolled too: its canonical is still there, and takes its room. */
function canonicalSamples({ recipe, canonical }: FleetRecipe): Sample[] {
  if (canonical === null) return [];
  const { version, ts, snapshot } = canonical;
  return [
    ['canonical_info', { recipe, version }, 1],
    ['canonical_promoted_timestamp_seconds', { recipe }, seconds(ts)],
    ['canonical_snapshot_bytes', { recipe }, snapshot?.bytes ?? 0],
  ];
}
