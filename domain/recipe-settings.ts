/** How the app is asked whether it serves. */
export interface Probe {
  path: string;
  /** Accepted status codes; null means any 2xx or 3xx. */
  status: readonly number[] | null;
  /** Text that the body must contain; null means none is asked for. */
  contains: string | null;
}

/** A checked recipes/<name>/recipe.yml. */
export interface RecipeSettings {
  recipe: string;
  /** The git URL (or path) of the recipe's home repository. */
  upstream: string;
  /** Why the recipe is not enrolled although it has a folder; null when it is enrolled. */
  exception: string | null;
  /** Why an enrolled recipe is not run for now; null when it is. */
  hold: string | null;
  /** Set over what .env.sample says, in every deployment of the recipe. */
  env: Record<string, string>;
  probe: Probe;
}
