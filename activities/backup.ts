import { planBackup, type BackupPlan } from '../domain/backup-plan.ts';
import { quotableLine } from '../domain/printable.ts';
import type { Taken } from '../host/data/backups.ts';
import { missingMarkers } from '../host/data/data-marker.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { coldApp, type TierStep } from './app.ts';
import { holdingHostFor } from './attempt.ts';
import { runHooks, whileHooksHaveTheirContainers, type Hooked } from './service-hooks.ts';
import { askTier, refuseUnlessRunning, type TierAnswer } from './tier.ts';
import type { World } from './world.ts';

export function backup(world: World) {
  return {
    /** Archives what the backupbot labels name of the run's deployment, while it runs. */
    async coldBackup(input: TierStep): Promise<TierAnswer> {
      const { run, step } = input;
      return holdingHostFor(world, run, step, async (attempt) => {
        const { stacks, backups } = attempt;
        const app = await coldApp(world, attempt, input);
        await refuseUnlessRunning(attempt, app, 'back up');
        const volumes = await stacks.volumes(app.stack);
        // A service that the release no longer has is on no host where the release is installed.
        const { ofRelease } = await stacks.services(app);
        const asked = planBackup(app.stack, ofRelease, volumes);
        if (asked.is === 'not asked') return { result: 'skipped', reason: asked.reason };
        return askTier(world, attempt, app, 'backup', async () => {
          if (asked.is === 'wrong') {
            const evidence = await keep(app.evidence, 'backup.txt', `${asked.reason}\n`);
            return { result: 'fail', reason: quotableLine(asked.reason), evidence };
          }
          const { plan } = asked;
          const act: Hooked['act'] = async (went) => {
            const since = world.now();
            const before = await runHooks(attempt, app, 'backup', plan.hooks.beforeBackup);
            passBoundary('backup.after-pre-hooks');
            if (before) return before;
            const unmarked = await missingMarkers(volumes, run.workflow.runId);
            const taken = await backups.take(app.stack, plan, volumes, unmarked, since);
            passBoundary('backup.after-archive');
            const evidence = await keep(app.evidence, 'backup.txt', archiveText(plan, taken));
            // A dump may be half of one then, whatever its hook said. What a hook restarts afterwards harms nothing.
            const gone = await went();
            if (gone) return { result: 'fail', reason: `the container of ${gone} went meanwhile`, evidence };
            const after = await runHooks(attempt, app, 'backup', plan.hooks.afterBackup);
            if (after) return after;
            const lack = lackOf(taken);
            return lack === null ? null : { result: 'fail', reason: quotableLine(lack), evidence };
          };
          const hooks = [...plan.hooks.beforeBackup, ...plan.hooks.afterBackup];
          return whileHooksHaveTheirContainers(attempt, app, { tier: 'backup', hooks, act });
        });
      });
    },
  };
}

/** What an archive lacks to be one; null when it lacks nothing. */
function lackOf({ missing, manifest }: Taken): string | null {
  if (missing.length > 0) return `the backup is partial: ${missing.join('; ')}`;
  if (manifest.volumes.length === 0) return 'the backup is empty: the labels leave out every volume';
  const files = manifest.volumes.flatMap(({ archives }) => archives).reduce((sum, one) => sum + one.files, 0);
  return files === 0 ? 'the backup is empty: there is not one file in its volumes' : null;
}

/** backup.txt: what was archived, what was not, and how it went. */
function archiveText(plan: BackupPlan, { manifest, missing, notes }: Taken): string {
  const archived = manifest.volumes.flatMap(({ name, archives }) =>
    archives.map(
      ({ path: what, files, bytes, sha256 }) =>
        `archived: volume ${name}, ${what ?? 'all of it'}: ${files} files, ${bytes} bytes of tar, sha256 ${sha256}`,
    ),
  );
  return [
    ...archived,
    ...plan.leftOut.map(({ name, why }) => `left out: volume ${name}: ${why}`),
    ...plan.ignored.map((label) => `ignored: ${label}`),
    ...notes.map((note) => `note: ${note}`),
    ...missing.map((line) => `missing: ${line}`),
    '',
  ].join('\n');
}
