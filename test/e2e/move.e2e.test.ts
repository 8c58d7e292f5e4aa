import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { execa } from 'execa';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import type { Service } from '../../host/machine/child.ts';
import { installationOf } from '../../host/lock/installation.ts';
import { ofZone } from './engine.ts';
import { startSecondEngine, type SecondEngine } from './second-engine.ts';
import { startSystem, until, type System } from './system.ts';

/**
 * An installation moves to another host, as docs/operating.md says: the state folder and what the swarm knows are
 * taken along, volumes and Temporal's database are not. The hosts are two engines in networks of their own.
 */

/** Its app and its database share a secret, which the data alone would not bring along. */
const RECIPE = 'webdis';

let folder: string;
let worker: Service;
let oldEngine: SecondEngine;
let newEngine: SecondEngine | undefined;
let old: System;
let moved: System | undefined;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'recipe-sweep-move-'));
  oldEngine = await startSecondEngine();
  const limits = { stable: '4s' };
  old = await startSystem(inject('temporal'), [RECIPE], { host: 'ci-1', engine: oldEngine, limits });
  await old.upstreams.publish(RECIPE, '1.0.0+0.1.9');
  worker = await old.startWorker();
}, 300_000);

afterAll(async () => {
  await moved?.stop();
  await newEngine?.stop();
  await old?.stop();
  await oldEngine?.stop();
  await rm(folder, { recursive: true, force: true });
}, 300_000);

test('a canonical is taken along, and a newer release goes on from its data', async () => {
  const first = await old.cli('sweep');
  expect(first.status, first.stdout + first.stderr).toBe(0);
  const canonical = await old.canonical(RECIPE);
  const installation = await installationOf(old.state);
  await worker.stop();
  const archive = path.join(folder, 'state.tar');
  const kept = [
    '--numeric-owner',
    '--xattrs',
    '--acls',
    '--sparse',
    '--exclude=./lock',
    '--exclude=./attempts',
  ];
  await execa('tar', ['--create', ...kept, `--file=${archive}`, `--directory=${old.state}`, '.']);
  const swarm = path.join(folder, 'swarm');
  await oldEngine.endAndMoveSwarm(swarm);

  newEngine = await startSecondEngine(swarm);
  const { zone, host } = old;
  const options = { host, zone, engine: newEngine, world: old, limits: { stable: '4s' } };
  moved = await startSystem(inject('temporal'), [RECIPE], options);
  await execa('tar', ['--extract', ...kept.slice(0, 4), `--file=${archive}`, `--directory=${moved.state}`]);
  await moved.startWorker();
  expect(await installationOf(moved.state)).toBe(installation);
  expect(await moved.canonical(RECIPE)).toEqual(canonical);
  expect((await ofZone(newEngine.docker, zone)).map((thing) => thing.split(' ')[0])).toEqual(['secret']);
  expect((await moved.cli('results', '--list')).stdout).toBe((await old.cli('results', '--list')).stdout);

  await old.upstreams.publish(RECIPE, '1.1.0+0.1.22');
  const next = await moved.cli('sweep');
  expect(next.stdout, next.stderr).toContain('PASS (promoted 1.1.0+0.1.22)');
  expect(next.status).toBe(0);
  await until(async () => (await moved?.canonical(RECIPE))?.version === '1.1.0+0.1.22');
});
