import path from 'node:path';
import type { App } from '../../domain/app.ts';

/**
 * What abra is told and where it finds things, as Co-op Cloud's operators' handbook
 * (https://docs.coopcloud.tech/operators/handbook/) and those who run it write of it; docs/abra.md has the source of
 * each flag. Nothing here runs anything.
 */

/** The first that deploys a checkout as it is, whatever version stands in the app's env: docs/abra.md. */
const OLDEST = [0, 10, 0] as const;
export const OLDEST_ABRA = OLDEST.join('.');

export const ABRA_INSTALLATION = 'https://docs.coopcloud.tech/abra/install/';

/** abra's name for the engine of the host that it runs on. */
const THIS_HOST = 'default';

/** What it calls itself in the answer to `abra --version`, as in `0.10.0-beta-06a57de`; null when that is not abra's answer. */
export function versionIn(answer: string): string | null {
  return /^abra version v?(\d+\.\d+\.\d+\S*)/m.exec(answer)?.[1] ?? null;
}

/** Every version so far is a beta of its numbers, which count alone. */
export function isTooOld(version: string): boolean {
  const numbers = version.split(/[.-]/, OLDEST.length).map(Number);
  const at = OLDEST.findIndex((oldest, index) => oldest !== numbers[index]);
  return at >= 0 && (numbers[at] ?? 0) < (OLDEST[at] ?? 0);
}

/** Hands the checkout to the swarm as it is, asking and awaiting nothing, whether the app is deployed already or not. */
export function appDeployArgs(domain: string): string[] {
  return [
    'app',
    'deploy',
    // the checkout as it is: whatever is tagged, and with our files in it
    '-C',
    // also what is deployed already
    '-f',
    // we judge whether it comes up
    '-c',
    // we ask whether it answers, and throw-away names are in nobody's DNS
    '--no-domain-checks',
    '-n',
    '--',
    domain,
  ];
}

/** The app's own ABRA_DIR. It goes with the checkout. */
export function abraFolder({ checkout }: Pick<App, 'checkout'>): string {
  return `${checkout}.abra`;
}

/** Where abra looks for the recipe: a git repository, whose HEAD it says the app was deployed from. */
export function abraRecipe(app: Pick<App, 'checkout' | 'recipe'>): string {
  return path.join(abraFolder(app), 'recipes', app.recipe);
}

/** Where abra looks for the app's env, and so which server it is on. */
export function abraEnv(app: Pick<App, 'checkout' | 'domain'>): string {
  return path.join(abraFolder(app), 'servers', THIS_HOST, `${app.domain}.env`);
}
