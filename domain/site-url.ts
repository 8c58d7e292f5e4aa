/** Where a browser finds what, below the address that the configuration says (`serve.url`). */

/** Where all recipes stand. */
export function fleetPage(site: string): string {
  return `${site.replace(/\/+$/, '')}/`;
}

/** One recipe and its history. */
export function recipePage(site: string, recipe: string): string {
  return `${fleetPage(site)}recipe/${encodeURIComponent(recipe)}/`;
}

/** One run and its evidence; `folder` is the run's own below the folder of all runs. */
export function runPage(site: string, folder: string): string {
  const path = folder.split('/').map(encodeURIComponent).join('/').replaceAll('%3A', ':');
  return `${fleetPage(site)}runs/${path}/`;
}
