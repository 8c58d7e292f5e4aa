import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import { planBackup, type BackupPlan, type ServiceHook } from '../domain/backup-plan.ts';
import { Fault } from '../domain/fault.ts';
import type { Tier } from '../domain/outcome.ts';
import { quotableLine } from '../domain/printable.ts';
import { timeWithin, tooLong } from '../host/scripts/app-scripts.ts';
import type { BackupManifest } from '../host/data/backup-manifest.ts';
import { createBackups, type Backups, type Taken } from '../host/data/backups.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { missingMarkers } from '../host/data/data-marker.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import type { Deployment } from '../host/deploy/deployer.ts';
import type { Volume } from '../host/engine/swarm.ts';
import type { App } from '../domain/app.ts';
import { coldApp, type ColdStep } from './app.ts';
import { holdersOf, holdingHost, type HostAttempt } from './attempt.ts';
import type { World } from './world.ts';
import {
  askTier,
  checkData,
  refuseUnlessRunning,
  writeData,
  type TierAnswer,
  type TierFailure,
  type TierPass,
} from './tier.ts';

/** So often a backup is taken, or restored, whose hooks lose their containers. */
const MOST_TRIES = 3;

export function backup(world: World) {
  const backupsOf = ({ run, signal, guard, report }: HostAttempt): Backups =>
    createBackups({ state: world.config.state, run, signal, guard, report });

  return {
    /** Archives what the backupbot labels name of the run's deployment, while it runs. */
    async coldBackup(input: ColdStep): Promise<TierAnswer> {
      const { run, step } = input;
      return holdingHost(world, holdersOf(run), `${run.workflow.id}: ${step}`, async (attempt) => {
        const { deployer } = attempt;
        const app = await coldApp(world, attempt, input);
        await refuseUnlessRunning(attempt, app, 'back up');
        const volumes = await deployer.volumes(app.stack);
        // A service that the release no longer has is on no host where the release is installed.
        const { ofRelease } = await deployer.services(app);
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
            const taken = await backupsOf(attempt).take(app.stack, plan, volumes, unmarked, since);
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

    /**
     * Does what an operator with a new host does: deploys the release on empty volumes, puts the archive over what is
     * there while it runs, between the restore's hooks, and looks for the data; at once, and after a restart.
     */
    async coldRestore(input: ColdStep): Promise<TierAnswer> {
      const { run, step } = input;
      return holdingHost(world, holdersOf(run), `${run.workflow.id}: ${step}`, async (attempt) => {
        const { deployer } = attempt;
        const app = await coldApp(world, attempt, input);
        const volumes = (await deployer.volumes(app.stack)).filter(({ elsewhere }) => !elsewhere);
        const backups = backupsOf(attempt);
        const archive = await backups.verified(app.stack);
        const gone = archive?.volumes.filter(({ name }) => volumes.every((one) => one.name !== name));
        if (archive === null || gone === undefined || gone.length > 0) {
          throw new Fault(
            'BadInput',
            `${app.stack} has ${archive === null ? 'no archive' : 'lost volumes'}, so there is nothing to restore (the run was reset past its backup, or somebody removed it): sweep ${app.recipe} again`,
          );
        }
        // A restore that goes on finds the app down, or on half of its data: what comes before was asked then.
        const hooks = { ...app.settings.hooks };
        if (await backups.hasBegun(app.stack)) delete hooks['before-restore'];
        const restored = { ...app, settings: { ...app.settings, hooks } };
        return askTier(world, attempt, restored, 'restore', async () => {
          await backups.begin(app.stack);
          const { workflow } = run;
          return restore(attempt, { app: restored, volumes, backups, archive, mark: workflow.runId });
        });
      });
    },
  };
}

/** What is done to an app with hooks in its containers. */
interface Hooked {
  tier: 'backup' | 'restore';
  hooks: readonly ServiceHook[];
  /** Brings the app to where it begins, each time anew. Null when it is there. */
  prepare?: () => Promise<TierFailure | null>;
  /** Null when all went well. `went` names those services of the hooks whose containers went meanwhile. */
  act: (went: () => Promise<string>) => Promise<TierFailure | null>;
}

/**
 * Backs up or restores once nothing of the app is in flight, and again when it failed and a container went meanwhile in
 * which one of the hooks runs. Apps crash until their database is up, and are backed up all the same; one that goes
 * each time cannot be.
 */
async function whileHooksHaveTheirContainers(
  { deployer, report }: HostAttempt,
  app: App,
  { tier, hooks, prepare, act }: Hooked,
): Promise<TierPass | TierFailure> {
  const services = [...new Set(hooks.map(({ service }) => service))];
  const failed = async (reason: string): Promise<TierFailure> => {
    const evidence = await keep(app.evidence, `${tier}.txt`, `${reason}\n`);
    return { result: 'fail', reason: quotableLine(reason), evidence };
  };
  for (let tries = 1; ; tries++) {
    const unprepared = await prepare?.();
    if (unprepared) return unprepared;
    const rest = await deployer.atRest(app);
    if (!rest.ok) return failed(`not all of it is up before the ${tier}: ${rest.reason}`);
    const idle = hooks.find(({ service }) => !rest.tasks[service]);
    if (idle) return failed(`${idle.hook} of service ${idle.service}: no container of it runs`);
    const went = async (): Promise<string> => {
      const gone = services.length === 0 ? [] : await deployer.goneTasks(app.stack, rest.tasks);
      return services.filter((name) => gone.includes(name)).join(', ');
    };
    let failure: TierFailure | null = null;
    let broken: unknown = null;
    try {
      failure = await act(went);
    } catch (error) {
      // How a command in a container ends that goes meanwhile.
      if (!(error instanceof Fault && error.type === 'Daemon')) throw error;
      broken = error;
    }
    if (failure === null && broken === null) {
      if (tries === 1) return { result: 'pass' };
      const done = tier === 'backup' ? 'taken' : 'restored';
      return {
        result: 'pass',
        note: `${done} ${tries} times, since a container went in which its hooks run`,
      };
    }
    const whose = await went();
    if (whose === '' && broken !== null) throw broken;
    if (whose === '' && failure !== null) return failure;
    const done = tier === 'backup' ? 'backed up' : 'restored';
    if (tries === MOST_TRIES) {
      return failed(
        `${MOST_TRIES} times the container of ${whose} went while it was ${done}, with its hooks`,
      );
    }
    report(`the container of ${whose} went meanwhile, so it is ${done} again`);
  }
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

async function restore(attempt: HostAttempt, restoring: Restoring): Promise<TierAnswer> {
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
  await deployer.undeploy(app.stack);
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
  await attempt.deployer.undeploy(app.stack);
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

/** Runs hooks in their services until one fails, and keeps what they print without the stack's secrets. */
async function runHooks(
  { deployer, report, until }: HostAttempt,
  app: App,
  tier: Tier,
  hooks: readonly ServiceHook[],
): Promise<TierFailure | null> {
  const evidence = path.join(app.evidence, `${tier}-hooks.txt`);
  const fit = async (text: string): Promise<string> => (await deployer.fit(app.stack, text)).trimEnd();
  for (const { hook, service, command } of hooks) {
    const what = `${hook} of service ${service}`;
    report(what);
    const allowedMs = app.settings.timeouts.hook;
    const timeoutMs = timeWithin(until, allowedMs);
    const { status, output } = await deployer.exec(app.stack, service, command, timeoutMs);
    const said = await fit(output);
    const how = status === null ? tooLong(timeoutMs, allowedMs) : `exit status ${status}`;
    await appendFile(evidence, [`== ${what}: ${await fit(command)}`, said, `== ${how}`, '', ''].join('\n'));
    if (status === 0) continue;
    const last = said.split('\n').at(-1) ?? '';
    return { result: 'fail', reason: quotableLine(`${what}: ${how}${last && `: ${last}`}`), evidence };
  }
  return null;
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
