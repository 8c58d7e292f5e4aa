import { isRecipeName } from '../domain/names.ts';
import { CommandStopped } from './failure.ts';

/** A name that no recipe can have is refused here; whether it is enrolled, the sweep itself says. */
export function checkRecipeNames(names: readonly string[]): void {
  const wrong = names.filter((name) => !isRecipeName(name));
  if (wrong.length > 0) {
    const quoted = wrong.map((name) => JSON.stringify(name)).join(', ');
    throw new CommandStopped(`not a recipe name: ${quoted} (a-z, 0-9 and single hyphens)`);
  }
}
