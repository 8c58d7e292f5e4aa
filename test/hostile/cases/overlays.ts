import { OUTSIDE, type HostileCase } from './hostile-case.ts';
import type { RecipeFile } from './recipe-files.ts';

/** A recipe under an overlay of the operator's: the overlay is trusted, what the recipe makes of it is not. */
export interface OverlayCase extends HostileCase {
  /** Files over those of a plain recipe. */
  files: Readonly<Record<string, RecipeFile>>;
  /** The overlay.yml in the recipe's folder of ours. */
  overlay: string;
}

const OUTSIDE_FOLDER = 'lies outside recipes/';

export const OVERLAY_CASES: readonly OverlayCase[] = [
  {
    name: 'overlay-climbs',
    hostile: 'an overlay with a config file outside its folder',
    files: {},
    overlay: 'configs: {c: {file: ../../../../../../../../../etc/shadow}}\n',
    says: OUTSIDE_FOLDER,
  },
  {
    name: 'overlay-variable',
    hostile: 'a recipe whose variable leads a file of the overlay out of its folder',
    files: { '.env.sample': `THEME=${OUTSIDE}/secret\n` },
    overlay: 'configs: {c: {file: "${THEME}"}}\n',
    says: OUTSIDE_FOLDER,
  },
  {
    name: 'overlay-host-path',
    hostile: 'a recipe whose variable makes a bind of the overlay one of the host',
    files: { '.env.sample': 'DATA=/etc\n' },
    overlay: 'services: {app: {volumes: ["${DATA}:/data"]}}\n',
    says: 'allow: [host-path:/etc]',
  },
];
