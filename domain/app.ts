import type { ProvidedDependency } from './dependency.ts';
import type { Lifetime } from './lifetime.ts';
import type { RecipeSettings } from './recipe-settings.ts';
import type { Revision } from './release.ts';

/** One app to bring up: a revision of a recipe, prepared from a clean checkout, at a domain. */
export interface App extends Revision {
  recipe: string;
  /** A folder holding exactly that commit. */
  checkout: string;
  /** A private folder for what must not stay: it goes with the checkout. */
  scratch: string;
  domain: string;
  stack: string;
  lifetime: Lifetime;
  /** The run that deploys it, for the labels. */
  run: string;
  /** Set over what .env.sample says. */
  env: Readonly<Record<string, string>>;
  /** What the recipe's folder brings: probe, allowances, overlay, hooks, checks and their time. */
  settings: Pick<RecipeSettings, 'probe' | 'allow' | 'overlay' | 'hooks' | 'checks' | 'timeouts' | 'oneShot'>;
  /** Apps that were provided for this one. */
  dependencies: readonly ProvidedDependency[];
  /** What hooks and checks are told besides, by its name in their environment, and nothing that is kept has. */
  secrets: Readonly<Record<string, string>>;
  /** The file that says what the run's images were when it first looked; may not be there yet. */
  resolvedImages: string;
  /** The images that it was proven on, by service; of a canonical only. */
  provenImages: Readonly<Record<string, ImageSeen>> | null;
  /** An existing folder for what is learned: compose as deployed, service logs, tasks, images. */
  evidence: string;
}

/** The image a service runs: as asked for in compose, and as it was found on the engine. */
export interface ImageSeen {
  image: string;
  /** Registry digest where the image came from one, else the engine's image ID. */
  digest: string;
}

/** Which services run on other images than they did before, in words; null when all are the same. */
export function changedImages(
  before: Readonly<Record<string, ImageSeen>>,
  now: Readonly<Record<string, ImageSeen>>,
): string | null {
  const changed = Object.keys({ ...before, ...now }).filter(
    (service) => before[service]?.digest !== now[service]?.digest,
  );
  if (changed.length === 0) return null;
  const named = changed.map(
    (service) => `${service} (${now[service]?.image ?? before[service]?.image ?? ''})`,
  );
  return `not the same images: ${named.join(', ')}`;
}
