import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Activities } from '../../activities/index.ts';
import { Fault } from '../../domain/fault.ts';
import { coldDomain, stackName } from '../../domain/names.ts';
import { BOUNDARY_CHANNEL, type Boundary, type Passed } from '../../host/machine/boundary.ts';
import { createMachine, ZONE, type Machine, runOfSweep } from './fake-machine.ts';
import type { MortalProcess } from './mortal-fs.ts';

/** The tiers backup and restore on a machine without an engine, with real archives of real folders. */

vi.mock('node:fs/promises', async (original) => {
  const { mortalFiles } = await import('./mortal-fs.ts');
  return mortalFiles(await original<typeof import('node:fs/promises')>());
});

const COMMIT = '0'.repeat(40);
const RUN = runOfSweep('ghost');
const STACK = stackName(coldDomain('ghost', ZONE, RUN.workflow.runId));
const deploy = { version: '1.0.0+1', commit: COMMIT };
const ASKED = { run: RUN, deploy, dependencies: [], upgraded: false };
const ON = { 'backupbot.backup': 'true' };

let folder: string;
let machine: Machine;

const install = (steps: Activities) => steps.coldInstall({ ...ASKED, step: 'cold-test: install' });
const back = (steps: Activities) => steps.coldBackup({ ...ASKED, step: 'cold-test: backup' });
const restore = (steps: Activities) => steps.coldRestore({ ...ASKED, step: 'cold-test: restore' });
const teardown = (steps: Activities) => steps.teardown({ run: RUN });

const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
  machine.attempt({ dead: false }, 1, body);

const inVolume = (volume: string, name: string): string =>
  path.join(machine.volume(`${STACK}_${volume}`), name);

beforeEach(async () => {
  folder = mkdtempSync(path.join(tmpdir(), 'backup-step-'));
  machine = createMachine(folder, ['ghost']);
  machine.open.add('sweep');
  machine.upstreams.set('ghost', [{ ...deploy, quality: 'good' }]);
  await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
});

afterEach(() => rmSync(folder, { recursive: true }));

function hooks(written: Record<string, string>): void {
  mkdirSync(path.join(folder, 'hooks'), { recursive: true });
  const files = Object.entries(written).map(([name, text]) => {
    const file = path.join(folder, 'hooks', name);
    writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
    return [name, file];
  });
  machine.settings.set('ghost', { hooks: Object.fromEntries(files) as Record<string, string> });
}

/** An app that keeps a number in memory: its data is what the hook dumped of it. */
function database(): void {
  machine.labels.set('ghost', {
    ...ON,
    'backupbot.backup.pre-hook': 'dump',
    'backupbot.backup.post-hook': 'clean',
    'backupbot.backup.volumes.data.path': 'dumps/all.sql',
    'backupbot.restore.post-hook': 'load',
  });
  const [table, dumps] = ['table', 'dumps/all.sql'];
  const done = { status: 0, output: '' };
  machine.commands.set('dump', () => {
    mkdirSync(inVolume('data', 'dumps'), { recursive: true });
    writeFileSync(inVolume('data', dumps), readFileSync(inVolume('data', table)));
    return done;
  });
  machine.commands.set('clean', () => {
    unlinkSync(inVolume('data', dumps));
    return done;
  });
  machine.commands.set('load', () => {
    if (!existsSync(inVolume('data', dumps))) return { status: 1, output: 'no dump\n' };
    writeFileSync(inVolume('data', table), readFileSync(inVolume('data', dumps)));
    return done;
  });
  hooks({
    'write-data': `echo 42 > ${inVolume('data', table)}`,
    'check-data': `grep -q 42 ${inVolume('data', table)}`,
    'before-restore': `echo once >> ${path.join(folder, 'before')}; test -e ${inVolume('data', table)}`,
  });
}

function evidence(tier: string, file: string): string {
  return readFileSync(path.join(machine.state, 'runs', 'sweep', 'ghost', `cold-test-${tier}`, file), 'utf8');
}

describe('a backup and its restore', () => {
  it('bring up a new deployment, and start it again once', async () => {
    machine.labels.set('ghost', ON);
    await step(install);
    await step(back);
    await step(restore);
    expect(machine.deployed.map(({ occasion }) => occasion)).toEqual([
      'deploy',
      'deploy',
      'restart',
      'restart',
    ]);
  });

  it('pass when each volume has its mark again, and teardown leaves no archive', async () => {
    await step(install);
    const before = machine.rows(STACK);
    expect(await step(back)).toEqual({ result: 'pass' });
    writeFileSync(inVolume('files', 'late'), 'written after the backup');
    expect(await step(restore)).toEqual({ result: 'pass' });
    for (const [name, rows] of machine.rows(STACK))
      expect(rows).toEqual(expect.arrayContaining(before.get(name) ?? []));
    expect(existsSync(inVolume('files', 'late'))).toBe(false);
    expect(evidence('backup', 'backup.txt')).toMatch(
      /archived: volume \S+_data, all of it: 1 files, \d+ bytes/,
    );
    expect(evidence('restore', 'restore.txt')).toContain(
      `found: the mark that was put into volume ${STACK}_files before the backup`,
    );
    await step(teardown);
    expect(readdirSync(path.join(machine.state, 'backups'))).toEqual([]);
  });

  it('pass with hooks in the containers, a dump of one volume, and data that is found', async () => {
    database();
    await step(install);
    expect(await step(back)).toEqual({ result: 'pass' });
    expect(existsSync(inVolume('data', 'dumps/all.sql'))).toBe(false);
    expect(await step(restore)).toEqual({ result: 'pass' });
    expect(readFileSync(inVolume('data', 'table'), 'utf8')).toBe('42\n');
    expect(evidence('backup', 'backup-hooks.txt')).toMatch(
      /^== backup pre-hook of service app: dump\n.*== exit status 0\n[^]*== backup post-hook/s,
    );
    expect(evidence('restore', 'restore.txt')).toContain(
      'hook check-data: before the restore, on empty volumes, it failed as it should\n' +
        'at once: it is up, and its data is there\n' +
        'after a restart of its services: it is up, and its data is there\n',
    );
  });

  it.each(['simple', 'database'])(
    'go on after a crash at any boundary: %s',
    async (kind) => {
      if (kind === 'database') database();
      const play = async (strikeAt: number): Promise<Boundary[]> => {
        const passed: Boundary[] = [];
        const attempt = async <T>(body: (steps: Activities) => Promise<T>): Promise<T> => {
          for (let number = 1; ; number++) {
            const worker: MortalProcess = { dead: false };
            let died: (how: 'died') => void = () => undefined;
            const death = new Promise<'died'>((resolve) => (died = resolve));
            const onBoundary = (message: unknown): void => {
              const { boundary } = message as Passed;
              // A command that outlives its worker is ended by the next attempt, and by nobody here.
              if (boundary === 'command.after-start' || passed.push(boundary) !== strikeAt) return;
              worker.dead = true;
              died('died');
            };
            subscribe(BOUNDARY_CHANNEL, onBoundary);
            const end = await Promise.race([machine.attempt(worker, number, body), death]).finally(() =>
              unsubscribe(BOUNDARY_CHANNEL, onBoundary),
            );
            if (end !== 'died') return end;
          }
        };
        rmSync(path.join(folder, 'before'), { force: true });
        await step(install);
        expect([await attempt(back), await attempt(restore)]).toEqual([
          { result: 'pass' },
          { result: 'pass' },
        ]);
        if (kind === 'database') {
          expect(readFileSync(inVolume('data', 'table'), 'utf8')).toBe('42\n');
          expect(readFileSync(path.join(folder, 'before'), 'utf8')).toMatch(/^(once\n){1,2}$/);
        }
        await step(teardown);
        expect(machine.rows(STACK).size).toBe(0);
        return passed;
      };
      const all = await play(0);
      const first = all.flatMap((boundary, index) => (all.indexOf(boundary) === index ? [index + 1] : []));
      for (const strikeAt of first) await play(strikeAt);
    },
    120_000,
  );
});

describe('the tier backup', () => {
  it.each<[string, Record<string, string>, string]>([
    ['nobody asks for one', {}, 'none of its services has the label backupbot.backup=true'],
    [
      'it is switched off',
      { 'backupbot.backup': 'false' },
      'none of its services has the label backupbot.backup=true',
    ],
  ])('is skipped when %s', async (_when, labels, reason) => {
    machine.labels.set('ghost', labels);
    await step(install);
    expect(await step(back)).toEqual({ result: 'skipped', reason });
  });

  it.each<[string, Record<string, string>, string]>([
    [
      'a label cannot be meant',
      { ...ON, 'backupbot.backup.volumes.data.path': '/etc' },
      "label backupbot.backup.volumes.data.path of service app: /etc is not relative to the volume's root",
    ],
    [
      'a path is not there',
      { ...ON, 'backupbot.backup.volumes.data.path': 'dump.sql' },
      `the backup is partial: volume ${STACK}_data has no dump.sql, or only behind a link; volume ${STACK}_data holds files, and none of them is in the archive`,
    ],
    [
      'every volume is left out',
      { ...ON, 'backupbot.backup.volumes.data': 'false', 'backupbot.backup.volumes.files': 'false' },
      'the backup is empty: the labels leave out every volume',
    ],
    [
      'a hook fails',
      { ...ON, 'backupbot.backup.pre-hook': 'broken' },
      'backup pre-hook of service app: exit status 3: no database',
    ],
    [
      'a hook takes too long',
      { ...ON, 'backupbot.backup.post-hook': 'slow' },
      'backup post-hook of service app: not finished after 1m, ended: still at it',
    ],
  ])('fails when %s', async (_when, labels, reason) => {
    machine.labels.set('ghost', labels);
    machine.commands.set('broken', () => ({ status: 3, output: 'trying\nno database\n' }));
    machine.commands.set('slow', () => ({ status: null, output: 'still at it\n' }));
    await step(install);
    expect(await step(back)).toMatchObject({ result: 'fail', reason });
  });

  it('waits for no app that does not come to rest', async () => {
    await step(install);
    machine.restless = 'db 0/1';
    expect(await step(back)).toMatchObject({
      result: 'fail',
      reason: 'not all of it is up before the backup: db 0/1',
    });
  });

  /** A dump that is cut, whatever its hook says, because its container goes so often. */
  function interrupted(times: number): void {
    database();
    const dump = machine.commands.get('dump');
    machine.commands.set('dump', (stack) => {
      if (machine.crashes >= times) return dump?.(stack) ?? { status: 1, output: '' };
      machine.crashes++;
      mkdirSync(inVolume('data', 'dumps'), { recursive: true });
      writeFileSync(inVolume('data', 'dumps/all.sql'), '');
      return { status: machine.crashes === 1 ? 0 : 137, output: '' };
    });
  }

  it('is taken again when the container of a hook went meanwhile', async () => {
    interrupted(2);
    await step(install);
    expect(await step(back)).toEqual({
      result: 'pass',
      note: 'taken 3 times, since a container went in which its hooks run',
    });
    expect(await step(restore)).toMatchObject({ result: 'pass' });
  });

  it('minds no container that a hook restarts when all is archived', async () => {
    database();
    machine.commands.set('clean', () => {
      machine.crashes++;
      return { status: 0, output: '' };
    });
    await step(install);
    expect(await step(back)).toEqual({ result: 'pass' });
  });

  it('fails when that goes each time', async () => {
    interrupted(3);
    await step(install);
    expect(await step(back)).toMatchObject({
      result: 'fail',
      reason: '3 times the container of app went while it was backed up, with its hooks',
    });
  });

  it.each([
    ['empty', '', 'is empty'],
    [
      'cut',
      '-- PostgreSQL database dump\n--\n42\n',
      'is cut: it does not end with "-- PostgreSQL database dump complete"',
    ],
  ])('fails when what a hook dumped is %s', async (_, content, why) => {
    database();
    machine.commands.set('dump', () => {
      mkdirSync(inVolume('data', 'dumps'), { recursive: true });
      writeFileSync(inVolume('data', 'dumps/all.sql'), content);
      return { status: 0, output: '' };
    });
    await step(install);
    expect(await step(back)).toMatchObject({
      result: 'fail',
      reason: `the backup is partial: volume ${STACK}_data: dumps/all.sql ${why}`,
    });
  });

  it('fails when no container of a hook runs', async () => {
    database();
    machine.idle = true;
    await step(install);
    expect(await step(back)).toMatchObject({
      result: 'fail',
      reason: 'backup pre-hook of service app: no container of it runs',
    });
  });

  it('does as the release says, not a service that it no longer has', async () => {
    database();
    machine.older = ['db'];
    await step(install);
    expect(await step(back)).toEqual({ result: 'pass' });
    expect(evidence('backup', 'backup-hooks.txt')).not.toContain('service db');
    expect(await step(restore)).toEqual({ result: 'pass' });
  });

  it('fails when there is nothing but our mark in its volumes', async () => {
    await step(install);
    for (const volume of ['data', 'files']) rmSync(inVolume(volume, 'row-1'));
    expect(await step(back)).toMatchObject({
      result: 'fail',
      reason: 'the backup is empty: there is not one file in its volumes',
    });
  });
});

describe('the tier restore', () => {
  it('fails when check-data finds what was destroyed', async () => {
    hooks({ 'write-data': 'true', 'check-data': 'echo all is well' });
    await step(install);
    await step(back);
    expect(await step(restore)).toEqual({
      result: 'fail',
      reason: 'check-data finds the data although it was destroyed',
      evidence: expect.stringMatching(/cold-test-restore\/hook-check-data\.txt$/),
    });
  });

  it('fails when check-data does not find what was restored', async () => {
    const table = inVolume('data', 'table');
    machine.labels.set('ghost', { ...ON, 'backupbot.backup.volumes.data': 'false' });
    hooks({ 'write-data': `touch ${table}`, 'check-data': `test -e ${table}` });
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({
      result: 'fail',
      reason: 'hook check-data: exit status 1',
    });
  });

  /** A hook that ends its own container so often, and says so, or is gone with it. */
  function endsItsContainer(times: number, how: 'says' | 'is gone'): void {
    database();
    const load = machine.commands.get('load');
    machine.commands.set('load', (stack) => {
      if (machine.crashes >= times) return load?.(stack) ?? { status: 1, output: '' };
      machine.crashes++;
      if (how === 'is gone') throw new Fault('Daemon', 'the container ended');
      return { status: 137, output: '' };
    });
  }

  it.each(['says', 'is gone'] as const)(
    'is tried anew when the container of a hook went: it %s',
    async (how) => {
      endsItsContainer(2, how);
      await step(install);
      await step(back);
      const before = machine.deployed.length;
      expect(await step(restore)).toEqual({
        result: 'pass',
        note: 'restored 3 times, since a container went in which its hooks run',
      });
      expect(machine.deployed.slice(before).map(({ occasion }) => occasion)).toEqual([
        'deploy',
        'deploy',
        'deploy',
        'restart',
        'restart',
      ]);
    },
  );

  it.each(['says', 'is gone'] as const)('fails when that goes each time: it %s', async (how) => {
    endsItsContainer(3, how);
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({
      result: 'fail',
      reason: '3 times the container of app went while it was restored, with its hooks',
    });
  });

  it('minds no container that a hook restarts when all is done', async () => {
    database();
    const load = machine.commands.get('load');
    machine.commands.set('load', (stack) => {
      machine.crashes++;
      return load?.(stack) ?? { status: 1, output: '' };
    });
    await step(install);
    await step(back);
    expect(await step(restore)).toEqual({ result: 'pass' });
  });

  it('breaks off when the engine does not answer', async () => {
    database();
    machine.commands.set('load', () => {
      throw new Fault('Daemon', 'the engine does not answer');
    });
    await step(install);
    await step(back);
    await expect(step(restore)).rejects.toThrow('the engine does not answer');
  });

  /** An app that reads its one file when it starts, and writes it when it ends if `saves`. */
  function inMemory(saves: boolean): void {
    database();
    const memory = path.join(folder, 'memory');
    machine.labels.set('ghost', ON);
    machine.started = () => {
      const table = inVolume('data', 'table');
      writeFileSync(memory, existsSync(table) ? readFileSync(table) : 'nothing');
    };
    machine.stopped = () => {
      if (saves) writeFileSync(inVolume('data', 'table'), readFileSync(memory));
    };
    hooks({
      'write-data': `echo 42 | tee ${memory} > ${inVolume('data', 'table')}`,
      'check-data': `grep -q 42 ${memory}`,
    });
  }

  it('passes with a note when the data is there only after a restart', async () => {
    inMemory(false);
    await step(install);
    await step(back);
    expect(await step(restore)).toEqual({
      result: 'pass',
      note: 'only after its services were restarted; at once: hook check-data: exit status 1',
    });
  });

  it('fails when the app writes over it as it is restarted', async () => {
    inMemory(true);
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({ result: 'fail', reason: 'hook check-data: exit status 1' });
  });

  it('fails when the restart loses what was there at once', async () => {
    database();
    machine.stopped = () => rmSync(inVolume('data', 'table'), { force: true });
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({
      result: 'fail',
      reason: expect.stringMatching(/^only until it was restarted: hook check-data: exit status 2: /),
    });
  });

  it('fails when the restored app takes no more writes', async () => {
    const table = inVolume('data', 'table');
    hooks({
      'write-data': `test "$TIER" = install && touch ${table}`,
      'check-data': `test -e ${table}`,
    });
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({
      result: 'fail',
      reason: 'on the restored data: hook write-data: exit status 1',
    });
  });

  it('accuses nobody of a mark that is gone while the data is there', async () => {
    const table = inVolume('data', 'table');
    hooks({ 'write-data': `touch ${table}`, 'check-data': `test -e ${table}` });
    machine.started = () => rmSync(inVolume('files', '.recipe-sweep'), { force: true });
    await step(install);
    await step(back);
    expect(await step(restore)).toEqual({ result: 'pass' });
    expect(evidence('restore', 'restore.txt')).toContain(
      `lost: the mark that was put into volume ${STACK}_files before the backup`,
    );
  });

  it('fails with a hook of the restore', async () => {
    database();
    machine.commands.set('load', () => ({ status: 1, output: 'syntax error\n' }));
    await step(install);
    await step(back);
    expect(await step(restore)).toMatchObject({
      result: 'fail',
      reason: 'restore post-hook of service app: exit status 1: syntax error',
    });
  });

  it('is skipped when nothing could tell whether the data is back', async () => {
    machine.labels.set('ghost', {
      ...ON,
      'backupbot.backup.volumes.data': 'false',
      'backupbot.backup.volumes.files.path': 'row-1',
    });
    await step(install);
    expect(await step(back)).toEqual({ result: 'pass' });
    expect(await step(restore)).toEqual({
      result: 'skipped',
      reason: 'restored, but nothing tells whether the data is back: the recipe has no hook check-data',
    });
  });

  it('is no question to ask without an archive', async () => {
    await step(install);
    await expect(step(restore)).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('start a new run of ghost'),
    });
  });
});
