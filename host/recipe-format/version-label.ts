import type { ComposeFile } from './compose.ts';
import { deployLabels } from './render.ts';

/**
 * The version that a recipe says of itself, by the label of its service app, as it is written; null where it has none.
 * Of the files their variables are in them.
 */
export function versionLabel(files: readonly ComposeFile[], stack: string): string | null {
  return deployLabels(files, 'app').get(`coop-cloud.${stack}.version`) ?? null;
}
