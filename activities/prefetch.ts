import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import path from 'node:path';
import { log } from '@temporalio/activity';
import { decideOn } from '../domain/decide.ts';
import { Fault, messageOf } from '../domain/fault.ts';
import { coldDomain, stackName } from '../domain/names.ts';
import type { Release } from '../domain/release.ts';
import type { RunRef } from '../domain/run.ts';
import type { WantedImage } from '../host/deploy/images-ahead.ts';
import { prepareRecipe } from '../host/prepare/prepare.ts';
import { lackFor } from '../host/recipe-tools.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import { holdersOf, inAttempt, type Attempt } from './attempt.ts';
import { dependenciesOf } from './dependencies.ts';
import { lastGoodOf } from './live-dependency.ts';
import { syncMirror } from './mirror-sync.ts';
import type { World } from './world.ts';

/** What was pulled ahead. */
export interface Prefetched {
  /** The one whose images those are; null where none of them is to be tested, as far as can be seen. */
  recipe: string | null;
  /** What it would deploy, whether or not it was here before. */
  images: string[];
  /** Why some of them are not here. */
  problems: string[];
}

export function prefetch(world: World) {
  return {
    /**
     * Beside a run of a sweep: looks which of the recipes that come next is the first to be tested, and pulls what it will
     * deploy. It takes no part of the host from the run, and stops where its sweep has the host no longer. Nothing that is
     * wrong with a recipe is said here: its own run meets that.
     */
    async prefetch({ run, next }: { run: RunRef; next: readonly string[] }): Promise<Prefetched> {
      return inAttempt(world, async (attempt) => {
        for (const recipe of next) {
          attempt.report(`looking at ${recipe}`);
          const images = await imagesOf(world, attempt, run, recipe).catch((error: unknown) => {
            attempt.signal.throwIfAborted();
            log.info('not looked at ahead', { for: recipe, error: messageOf(error) });
            return [];
          });
          if (images.length === 0) continue;
          const guard = (): Promise<void> => refuseWithoutHost(world, run);
          const commandMark = await world.attempts.mark(null);
          const { stacks } = world.toolsFor({ ...attempt, commandMark, guard });
          const problems = await stacks.pullAhead(images);
          const pulled = { recipe, images: images.map(({ image }) => image), problems };
          log.info('pulled ahead', { for: recipe, images: pulled.images, problems });
          return pulled;
        }
        return { recipe: null, images: [], problems: [] };
      });
    },
  };
}

/** Throws Fault FenceLost unless the run, or who asked for it, has the host now. */
async function refuseWithoutHost({ lock }: Pick<World, 'lock'>, run: RunRef): Promise<void> {
  const now = await lock.current();
  const isOurs = holdersOf(run).some(
    ({ workflowId, runId }) => workflowId === now?.workflowId && runId === now.runId,
  );
  if (!isOurs) throw new Fault('FenceLost', `${run.workflow.id}: its sweep has the host no longer`);
}

/** What the recipe's run would deploy, in that order; nothing where it would not. */
async function imagesOf(world: World, attempt: Attempt, run: RunRef, recipe: string): Promise<WantedImage[]> {
  const { hold, exception } = await world.recipes.one(recipe);
  if (hold !== null || exception !== null) return [];
  const { releases } = await syncMirror(world, attempt, recipe, null);
  const record = await world.canonicals.read(recipe);
  const canonical = record && { version: record.version, commit: record.commit };
  const latest = releases.at(-1) ?? null;
  if (latest === null || decideOn({ latest, canonical, hold }).decision === 'skip') return [];
  // Its run ends before it deploys anything.
  if ((await lackFor(world.recipes, recipe, world.config.path)) !== null) return [];
  // First what it is deployed with: where its files are refused, nothing of it is.
  const own = await imagesOfRelease(world, attempt, run, { recipe, upgraded: record !== null }, latest);
  const beside: WantedImage[] = [];
  for (const needed of await dependenciesOf(world, recipe)) {
    beside.push(...(await imagesBeside(world, attempt, run, needed)));
  }
  const all = [...beside, ...(record === null ? [] : provenImages(record)), ...own];
  return [...new Map(all.map((one) => [`${one.image} ${one.digest}`, one])).values()];
}

/** Of a recipe that is deployed beside it; none of a live service, which runs. */
async function imagesBeside(
  world: World,
  attempt: Attempt,
  run: RunRef,
  recipe: string,
): Promise<WantedImage[]> {
  if ((await lastGoodOf(world, recipe)) !== null) return [];
  const record = await world.canonicals.readForOthers(recipe);
  if (record !== null) return provenImages(record);
  const latest = (await syncMirror(world, attempt, recipe, null)).releases.at(-1);
  if (latest === undefined) return [];
  return imagesOfRelease(world, attempt, run, { recipe, upgraded: false }, latest);
}

function provenImages({ images }: Pick<CanonicalRecord, 'images'>): WantedImage[] {
  return Object.values(images).map(({ image, digest }) => ({ image, digest }));
}

/** What the files of a release name, as they would be prepared for its cold test. Throws RecipeProblem. */
async function imagesOfRelease(
  world: World,
  attempt: Attempt,
  run: RunRef,
  { recipe, upgraded }: { recipe: string; upgraded: boolean },
  { commit }: Release,
): Promise<WantedImage[]> {
  const settings = await world.recipes.one(recipe);
  const checkouts = path.join(world.config.state, 'checkouts');
  await mkdir(checkouts, { recursive: true });
  // Of its own, which the reaper finds with those of stacks.
  const folder = await mkdtemp(path.join(checkouts, 'ahead-'));
  try {
    const checkout = path.join(folder, 'release');
    await world.mirrorsFor(attempt.commands).checkout(recipe, commit, checkout);
    const domain = coldDomain(recipe, world.config.zone, run.workflow.runId);
    const env = upgraded ? { ...settings.env, ...settings.upgradeEnv } : settings.env;
    const app = {
      recipe,
      checkout,
      domain,
      stack: stackName(domain),
      env,
      lifetime: 'cold',
      settings,
    } as const;
    const { services } = await prepareRecipe(app, { clientVariables: new Set() });
    return services.map(({ image }) => ({ image, digest: null }));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
