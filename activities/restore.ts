import path from 'node:path';
import type { App } from '../domain/app.ts';
import { Fault } from '../domain/fault.ts';
import { quotableLine } from '../domain/printable.ts';
import type { BackupManifest } from '../host/data/backup-manifest.ts';
import type { Backups } from '../host/data/backups.ts';
import { missingMarkers } from '../host/data/data-marker.ts';
import type { Deployment } from '../host/deploy/deployer.ts';
import type { Volume } from '../host/engine/volumes.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { coldApp, type TierStep } from './app.ts';
import { holdingHostFor, type HostAttempt } from './attempt.ts';
import { runHooks, whileHooksHaveTheirContainers } from './service-hooks.ts';
import { askTier, checkData, writeData, type TierAnswer, type TierFailure } from './tier.ts';
import type { World } from './world.ts';

export function restore(world: World) {
  return {
    /**
     * Does what an operator with a new host does: deploys the release on empty volumes, puts the archive over what is
     * there while it runs, between the restore's hooks, and looks for the data; at once, and after a restart.
     */
    async coldRestore(input: TierStep): Promise<TierAnswer> {
      const { run, step } = input;
      return holdingHostFor(world, run, step, async (attempt) => {
        const { stacks, backups } = attempt;
        const app = await coldApp(world, attempt, input);
        const volumes = (await stacks.volumes(app.stack)).filter(({ elsewhere }) => !elsewhere);
        const archive = await backups.verified(app.stack);
        const gone = archive?.volumes.filter(({ name }) => volumes.every((one) => one.name !== name));
        if (archive === null || gone === undefined || gone.length > 0) {
          throw new Fault(
            'BadInput',
            `${app.stack} has ${archive === null ? 'no archive' : 'lost volumes'}, so there is nothing to restore (the run was reset past its backup, or somebody removed it): start a new run of ${app.recipe}`,
          );
        }
        // A restore that goes on finds the app down, or on half of its data: what comes before was asked then.
        const hooks = { ...app.settings.hooks };
        if (await backups.hasBegun(app.stack)) delete hooks['before-restore'];
        const restored = { ...app, settings: { ...app.settings, hooks } };
        return askTier(world, attempt, restored, 'restore', async () => {
          await backups.begin(app.stack);
          const { workflow } = run;
          return restoreApp(attempt, { app: restored, volumes, backups, archive, mark: workflow.runId });
        });
      });
    },
  };
}

/** What a restore works with. */
interface Restoring {
  app: App;
  /** Those of the stack that are kept here. */
  volumes: readonly Volume[];
  backups: Backups;
  archive: BackupManifest;
  mark: string;
}

async function restoreApp(attempt: HostAttempt, restoring: Restoring): Promise<TierAnswer> {
  const { app, volumes, archive, mark } = restoring;
  const { deployer } = attempt;
  const checks = app.settings.hooks['check-data'] !== undefined;

  const { beforeRestore, afterRestore } = archive.hooks;
  const restored = await whileHooksHaveTheirContainers(attempt, app, {
    tier: 'restore',
    hooks: [...beforeRestore, ...afterRestore],
    prepare: async () => {
      await destroy(attempt, restoring);
      const fresh = await deployer.deploy(app, 'deploy');
      passBoundary('restore.after-deploy');
      if (!fresh.ok) return failedOn('empty volumes', fresh);
      // A check that passes on an app without its data would say nothing of the restore.
      if ((await checkData(attempt, app, 'restore'))?.result !== 'pass') return null;
      const reason = 'check-data finds the data although it was destroyed';
      return { result: 'fail', reason, evidence: path.join(app.evidence, 'hook-check-data.txt') };
    },
    act: async () =>
      (await runHooks(attempt, app, 'restore', beforeRestore)) ??
      (await unpack(restoring)) ??
      (await runHooks(attempt, app, 'restore', afterRestore)),
  });
  passBoundary('restore.after-hooks');
  if (restored.result === 'fail') return restored;

  const atOnce = await look(attempt, app);
  await deployer.undeploy(app);
  const restarted = await look(attempt, app);
  passBoundary('restore.after-restart');

  const marked = archive.volumes.filter((one) => one.marked).map(({ name }) => name);
  const lost = await missingMarkers(
    volumes.filter(({ name }) => marked.includes(name)),
    mark,
  );
  await keep(app.evidence, 'restore.txt', checkedText({ marked, lost, checks, atOnce, restarted }));
  if (restarted) {
    return atOnce ? restarted : { ...restarted, reason: `only until it was restarted: ${restarted.reason}` };
  }
  const written = await writeData(attempt, app, 'restore');
  if (written) return { ...written, reason: `on the restored data: ${written.reason}` };
  if (!checks && (marked.length === 0 || lost.length > 0)) {
    // A level never says more than was seen.
    const reason = 'restored, but nothing tells whether the data is back: the recipe has no hook check-data';
    return { result: 'skipped', reason };
  }
  const notes = [
    ...(atOnce ? [`only after its services were restarted; at once: ${atOnce.reason}`] : []),
    ...(restored.note === undefined ? [] : [restored.note]),
  ];
  return { result: 'pass', ...(notes.length > 0 && { note: quotableLine(notes.join('; ')) }) };
}

/** Judges the app like any deployment, and asks whether its data is there; null when all is well. */
async function look(attempt: HostAttempt, app: App): Promise<TierFailure | null> {
  const deployed = await attempt.deployer.deploy(app, 'restart');
  if (!deployed.ok) return failedOn('the restored data', deployed);
  const data = await checkData(attempt, app, 'restore');
  return data?.result === 'fail' ? data : null;
}

async function destroy(attempt: HostAttempt, { app, volumes, backups }: Restoring): Promise<void> {
  await attempt.deployer.undeploy(app);
  passBoundary('restore.after-undeploy');
  await backups.wipe(volumes);
  passBoundary('restore.after-wipe');
}

/** Puts the archive over what is in the volumes of the running stack. */
async function unpack({ app, volumes, backups, archive }: Restoring): Promise<TierFailure | null> {
  for (const archived of archive.volumes) {
    const volume = volumes.find(({ name }) => name === archived.name);
    const blocked = volume ? await backups.unpack(app.stack, archived, volume) : null;
    if (blocked === null) continue;
    const evidence = await keep(app.evidence, 'restore.txt', `${blocked}\n`);
    return { result: 'fail', reason: quotableLine(blocked), evidence };
  }
  passBoundary('restore.after-unpack');
  return null;
}

function failedOn(what: string, { reason, evidence }: Extract<Deployment, { ok: false }>): TierFailure {
  return { result: 'fail', reason: `on ${what} it does not come up: ${reason}`, evidence };
}

/** What the looks at the restored app found. */
interface Looked {
  marked: readonly string[];
  lost: readonly string[];
  /** Whether the recipe has a hook check-data. */
  checks: boolean;
  atOnce: TierFailure | null;
  restarted: TierFailure | null;
}

/** restore.txt: by what the data was known again. */
function checkedText({ marked, lost, checks, atOnce, restarted }: Looked): string {
  const found = marked.filter((name) => !lost.includes(name));
  const said = (failure: TierFailure | null): string => failure?.reason ?? 'it is up, and its data is there';
  return [
    ...found.map((name) => `found: the mark that was put into volume ${name} before the backup`),
    ...lost.map((name) => `lost: the mark that was put into volume ${name} before the backup`),
    checks
      ? 'hook check-data: before the restore, on empty volumes, it failed as it should'
      : 'not asked: the recipe has no hook check-data',
    `at once: ${said(atOnce)}`,
    `after a restart of its services: ${said(restarted)}`,
    '',
  ].join('\n');
}
