import type { Forge, Repository } from '../forge/forge.ts';
import { mirrorOnForge } from '../host/config/forge-access.ts';
import type { World } from './world.ts';

export interface MirrorOnForge {
  forge: Forge;
  repository: Repository;
}

/** The forge, asked until the signal, and which of its repositories a recipe's mirror is; null where the mirror is elsewhere. */
export async function mirrorIn(
  { config, forgeFor }: Pick<World, 'config' | 'forgeFor'>,
  signal: AbortSignal,
  recipe: string,
): Promise<MirrorOnForge | null> {
  const repository = mirrorOnForge(config, recipe);
  const forge = repository && (await forgeFor(signal));
  return forge && repository && { forge, repository };
}
