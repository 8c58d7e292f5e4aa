import { chmod, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { sizesOf } from '../../host/machine/headroom.ts';
import { parseDocument } from '../fixtures/documents.ts';
import { startSystem, type System } from './system.ts';

/** A host whose state folder is on a small disk of its own, which somebody else fills. One story, in order. */

const MB = 1_000_000;
/** What the app puts into its volume when it is deployed. */
const DATA = 20 * MB;
const HEADROOM = 100 * MB;
const VERSION = '1.0.0+1.22';
const NEXT = '1.1.0+1.26';

let system: System;
const ballast = (): string => path.join(system.state, 'ballast');

beforeAll(async () => {
  system = await startSystem(inject('temporal'), ['custom-html'], {
    stateMegabytes: 220,
    limits: { headroom: `${HEADROOM / MB}MB`, stable: '2s' },
  });
  const hooks = path.join(system.folder, 'recipes', 'custom-html', 'hooks');
  await mkdir(hooks);
  const fill = `in-service app sh -c 'head -c ${DATA} /dev/urandom > /usr/share/nginx/html/much'`;
  await writeFile(path.join(hooks, 'ready'), `#!/bin/sh\n${fill}\n`);
  await chmod(path.join(hooks, 'ready'), 0o755);
  await system.upstreams.publish('custom-html', VERSION);
  await system.startWorker();
}, 180_000);

afterAll(async () => {
  await system?.stop();
}, 180_000);

const free = async (): Promise<number> => (await sizesOf(system.state))?.free ?? 0;
const warm = async (): Promise<string[]> => (await system.ours()).filter((thing) => thing.includes(' warm-'));

async function record() {
  return parseDocument(
    'canonical show',
    (await system.cli('canonical', 'show', 'custom-html', '--json')).stdout,
  );
}

async function disk() {
  return parseDocument('results', (await system.cli('results', '--json')).stdout).disk;
}

test('a promotion observes what the canonical takes, and the report says what the next sweep will', async () => {
  expect(await system.cli('sweep')).toMatchObject({ status: 0 });
  const { snapshot, disk: took } = await record();
  expect(snapshot?.bytes).toBeGreaterThan(DATA);
  expect(took?.volumes).toBeGreaterThan(DATA);
  expect(took?.images).toBeGreaterThan(MB);
  const seen = await disk();
  expect(seen?.next).toMatchObject({ largest: 'custom-html', unknown: [], withoutImages: [] });
  expect(seen?.next.engine).toBe((took?.images ?? 0) + (took?.volumes ?? 0));
  const ours = seen?.disks.find(({ places }) => places.includes('state'));
  expect(ours).toMatchObject({ places: ['state'], folder: system.state });
  expect(Math.abs((ours?.free ?? 0) - (await free()))).toBeLessThan(MB);
}, 300_000);

test('a sweep that finds less drops its data, and doctor said before that it would', async () => {
  const room = (await free()) - HEADROOM - DATA / 2;
  await writeFile(ballast(), Buffer.alloc(Math.floor(room)));
  const findings = parseDocument('doctor', (await system.cli('doctor', '--json')).stdout);
  expect(findings.find(({ name }) => name === 'room for a sweep')).toMatchObject({
    ok: false,
    how: expect.stringContaining('drops the data of custom-html'),
  });
  const { stdout, stderr } = await system.cli('sweep');
  const said = `the data of custom-html ${VERSION} was dropped for want of room`;
  expect(`${stdout}${stderr}`).toContain(said);
  expect(await warm()).toEqual([]);
  const kept = await record();
  expect(kept).toMatchObject({ version: VERSION, snapshot: null, dropped: expect.any(String) });
  expect((await disk())?.dropped).toEqual([
    { recipe: 'custom-html', version: VERSION, why: kept.droppedBy?.why },
  ]);
  expect((await system.cli('canonical', 'show', 'custom-html')).stdout).toContain('wanted for a sweep');
  const alert = await readFile(path.join(system.state, 'alerts', 'disk-short-host.json'), 'utf8');
  expect(parseDocument('alert', alert).message).toContain(said);
}, 120_000);

test('a quick lane is a cold test then, and says why', async () => {
  await system.upstreams.publish('custom-html', NEXT);
  const { stdout } = await system.cli('test', 'custom-html', '--quick', '--json');
  expect(parseDocument('test', stdout)).toMatchObject({
    outcome: { kind: 'PASS' },
    tested: {
      mode: 'cold',
      wanted: 'quick',
      why: expect.stringContaining(`the data of the canonical ${VERSION} was dropped on`),
    },
  });
}, 300_000);

test('the next release is promoted by a fresh install, and the alert is over', async () => {
  await rm(ballast());
  expect((await system.cli('sweep')).stdout).toContain(`PASS (promoted ${NEXT})`);
  expect(await record()).toMatchObject({ version: NEXT, dropped: null, droppedBy: null });
  expect(await warm()).not.toEqual([]);
  expect((await system.cli('results')).stdout).toContain('which proves no upgrade of data');
  expect(parseDocument('alert list', (await system.cli('alert', 'list', '--json')).stdout)).toEqual([]);
}, 300_000);
