import type { App } from '../../domain/app.ts';
import { hookEvidence, type AppScripts } from '../scripts/app-scripts.ts';
import { inSecretsFolder, type WrittenSecrets } from '../secrets/ensure.ts';
import { Red } from './red.ts';

/**
 * Runs the recipe's hook install. Answers the secrets that it brings, which are on no disk any more then. Throws Red
 * when it fails.
 */
export async function runInstallHook(
  scripts: Pick<AppScripts, 'hook'>,
  app: App,
): Promise<WrittenSecrets['values']> {
  if (app.settings.hooks.install === undefined) return new Map();
  return inSecretsFolder(app.scratch, async (folder, written) => {
    const done = await scripts.hook(app, 'install', {
      environment: { SECRETS_DIR: folder },
      secrets: async () => [...(await written()).values.values()].map(String),
    });
    if (done?.result === 'fail') throw new Red(done.reason, done.evidence);
    const { values, problem } = await written();
    if (problem !== null) throw new Red(`hook install: ${problem}`, hookEvidence(app, 'install'));
    return values;
  });
}
