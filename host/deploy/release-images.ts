import path from 'node:path';
import type { App } from '../../domain/app.ts';
import { dockerFolder, type Config } from '../config/config.ts';
import type { EngineAccess } from '../engine/access.ts';
import {
  ensureImage,
  ensureSame,
  type EnsuredImage,
  type ImageHost,
  type PresentImage,
} from '../engine/images.ts';
import type { PulledImages } from '../engine/pulled-images.ts';
import type { PreparedRecipe } from '../prepare/prepare.ts';
import { all } from '../machine/all.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';
import { whilePulling } from './pulling.ts';
import { addResolved, readResolved } from './resolved-images.ts';

export interface ImageHostSettings extends EngineAccess {
  config: Pick<Config, 'state' | 'docker'>;
  pulled: PulledImages;
}

/** The engine as images are brought to it, with the logins of the worker's user. */
export function imageHost({ config, docker, signal, guard, pulled }: ImageHostSettings): ImageHost {
  const logins = path.join(dockerFolder(config), 'config.json');
  return { docker, signal, guard, pull: config.docker.pull, logins, pulled };
}

export interface ReleaseImagesSettings extends ImageHostSettings {
  report: (what: string) => void;
}

/**
 * Sees to it that the images of a release are on the engine; answers them by service. They are what a canonical was
 * proven on, else what the run saw when it first looked, else what the names stand for now. Throws RecipeProblem for
 * one that does not exist, Fault Registry, Disk or Daemon.
 */
export async function releaseImages(
  settings: ReleaseImagesSettings,
  app: App,
  recipe: PreparedRecipe,
): Promise<Map<string, PresentImage>> {
  const { config, pulled, report } = settings;
  const names = [...new Set(recipe.services.map(({ image }) => image))];
  report(`images: ${names.join(', ')}`);
  const host = imageHost(settings);
  const proven = Object.values(app.provenImages ?? {}).map(({ image, digest }) => [image, digest] as const);
  const known = app.provenImages === null ? await readResolved(app.resolvedImages) : new Map(proven);
  const remedy =
    app.lifetime === 'live'
      ? 'have the registry give it again'
      : app.provenImages === null
        ? 'the next sweep looks anew'
        : `the canonical was proven on it: have the registry give it again, or begin anew: recipe-sweep canonical forget ${app.recipe}`;
  const ensure = async (name: string): Promise<EnsuredImage> => {
    const digest = known.get(name);
    if (digest === undefined) return ensureImage(host, name);
    return ensureSame(host, { image: name, digest, isOnlyOne: app.provenImages !== null, remedy });
  };
  const ensured = await whilePulling(config.state, () => all(names.map(ensure)));
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
