import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterEach, expect, inject, test } from 'vitest';
import { installationOf } from '../../host/lock/installation.ts';
import { ofZone } from './engine.ts';
import { startSecondEngine, type SecondEngine } from './second-engine.ts';
import { startSystem, type System, type SystemOptions } from './system.ts';
import { undoAll, type Undo } from './undo.ts';

/**
 * An installation moves to another host, as docs/backup.md says: the state folder and what the swarm knows are
 * taken along, volumes and Temporal's database are not. The hosts are two engines in networks of their own.
 */

/** Its app and its database share a secret, which the data alone would not bring along. */
const RECIPE = 'webdis';

const undo: Undo = [];

/** Also for a second try, which begins anew. */
afterEach(() => undoAll(undo));

async function engine(movedSwarm?: string): Promise<SecondEngine> {
  const started = await startSecondEngine(movedSwarm);
  undo.push(() => started.stop());
  return started;
}

async function system(options: SystemOptions): Promise<System> {
  const limits = { stable: '4s' };
  const started = await startSystem(inject('temporal'), [RECIPE], { host: 'ci-1', limits, ...options });
  undo.push(() => started.stop());
  return started;
}

test('a canonical is taken along, and a newer release goes on from its data', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-move-'));
  undo.push(() => rm(folder, { recursive: true }));
  const oldEngine = await engine();
  const old = await system({ engine: oldEngine });
  await old.upstreams.publish(RECIPE, '1.0.0+0.1.9');
  const worker = await old.startWorker();
  const first = await old.cli('sweep');
  expect(first.status, first.stdout + first.stderr).toBe(0);
  const canonical = await old.canonical(RECIPE);
  await worker.stop();
  const archive = path.join(folder, 'state.tar');
  const faithfully = ['--numeric-owner', '--xattrs', '--acls', '--sparse', `--file=${archive}`];
  const left = ['lock', 'attempts', 'installation.json'].map((name) => `--exclude=./${name}`);
  await execa('tar', ['--create', ...faithfully, ...left, `--directory=${old.state}`, '.']);
  const swarm = path.join(folder, 'swarm');
  await oldEngine.endAndMoveSwarm(swarm);

  const newEngine = await engine(swarm);
  const moved = await system({ zone: old.zone, engine: newEngine, world: old });
  await mkdir(moved.state);
  await execa('tar', ['--extract', ...faithfully, `--directory=${moved.state}`]);
  await moved.startWorker();
  expect(await installationOf(moved.state)).not.toBe(await installationOf(old.state));
  expect(await moved.canonical(RECIPE)).toEqual(canonical);
  expect((await ofZone(newEngine.docker, moved.zone)).map((thing) => thing.split(' ')[0])).toEqual([
    'secret',
  ]);
  expect((await moved.cli('results', '--list')).stdout).toBe((await old.cli('results', '--list')).stdout);

  await old.upstreams.publish(RECIPE, '1.1.0+0.1.22');
  const next = await moved.cli('sweep');
  expect(next.stdout, next.stderr).toContain('PASS (promoted 1.1.0+0.1.22)');
  expect(next.status).toBe(0);
  expect((await moved.canonical(RECIPE))?.version).toBe('1.1.0+0.1.22');
});
