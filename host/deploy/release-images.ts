import path from 'node:path';
import type { App } from '../../domain/app.ts';
import { dockerFolder, type Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import { ensureImage, ensureSame, type EnsuredImage, type PresentImage } from '../engine/images.ts';
import type { PulledImages } from '../engine/pulled-images.ts';
import type { PreparedRecipe } from '../prepare/prepare.ts';
import { all } from '../machine/all.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { addResolved, readResolved } from './resolved-images.ts';

export interface ReleaseImagesSettings extends EngineAccess {
  config: Pick<Config, 'state' | 'docker'>;
  pulled: PulledImages;
  report: (what: string) => void;
}

/**
 * Sees to it that the images of a release are on the engine; answers them by service. They are what a canonical was
 * proven on, else what the run saw when it first looked, else what the names stand for now. Throws RecipeProblem for
 * one that does not exist, Fault Registry, Disk or Daemon.
 */
export async function releaseImages(
  { config, pulled, report, ...access }: ReleaseImagesSettings,
  app: App,
  recipe: PreparedRecipe,
): Promise<Map<string, PresentImage>> {
  const names = [...new Set(recipe.services.map(({ image }) => image))];
  report(`images: ${names.join(', ')}`);
  const logins = path.join(dockerFolder(config), 'config.json');
  const host = { ...access, pull: config.docker.pull, logins, pulled };
  const proven = Object.values(app.provenImages ?? {}).map(({ image, digest }) => [image, digest] as const);
  const known = app.provenImages === null ? await readResolved(app.resolvedImages) : new Map(proven);
  const remedy =
    app.lifetime === 'live'
      ? 'have the registry give it again'
      : app.provenImages === null
        ? 'the next sweep looks anew'
        : `the canonical was proven on it: have the registry give it again, or begin anew: recipe-sweep canonical forget ${app.recipe}`;
  const ensured = await all(
    names.map(async (name): Promise<EnsuredImage> => {
      const digest = known.get(name);
      if (digest === undefined) return ensureImage(host, name);
      return ensureSame(host, { image: name, digest, isOnlyOne: app.provenImages !== null, remedy });
    }),
  );
  for (const one of ensured) if (one.ok) await pulled.needed(one.image);
  const present = new Map(
    recipe.services.map(({ name, image }) => {
      const found = ensured[names.indexOf(image)];
      if (!found?.ok) throw new RecipeProblem(recipe.at('services', name, 'image'), found?.reason ?? image);
      return [name, found.image];
    }),
  );
  if (app.provenImages === null) {
    const seen = names.flatMap((name, index): [string, string][] => {
      const found = ensured[index];
      return found?.ok ? [[name, found.image.digest]] : [];
    });
    await addResolved(app.resolvedImages, seen);
  }
  return present;
}
