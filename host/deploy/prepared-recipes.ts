import type { App } from '../../domain/app.ts';
import { declaredEnvironment } from '../config/environment.ts';
import { COMMAND_MARK } from '../machine/processes.ts';
import { prepareRecipe, type PreparedRecipe } from '../prepare/prepare.ts';
import { RecipeProblem } from '../recipe-format/problem.ts';

/** The releases that are deployed, each read once: an app's checkout stays what it is. */
export interface PreparedRecipes {
  /** Throws RecipeProblem. */
  of(app: App): Promise<PreparedRecipe>;
  /** Null for a release whose files are wrong: its deployment says what is wrong with them. */
  orNull(app: App): Promise<PreparedRecipe | null>;
  /** Likewise, but none. */
  servicesOf(app: App): Promise<PreparedRecipe['services']>;
}

/** The declared environment's names, whatever their values. */
const CLIENT_VARIABLES = new Set([
  ...Object.keys(declaredEnvironment({ path: '', state: '', docker: { socket: '', pull: 'missing' } })),
  COMMAND_MARK,
]);

export function createPreparedRecipes(): PreparedRecipes {
  const prepared = new WeakMap<App, Promise<PreparedRecipe>>();

  function of(app: App): Promise<PreparedRecipe> {
    const read = prepared.get(app) ?? prepareRecipe(app, { clientVariables: CLIENT_VARIABLES });
    prepared.set(app, read);
    return read;
  }

  async function orNull(app: App): Promise<PreparedRecipe | null> {
    try {
      return await of(app);
    } catch (error) {
      if (error instanceof RecipeProblem) return null;
      throw error;
    }
  }

  return { of, orNull, servicesOf: async (app) => (await orNull(app))?.services ?? [] };
}
