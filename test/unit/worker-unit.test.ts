import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { putUnit } from '../../client/service/put-unit.ts';
import { serveUnit, workerUnit, type Place } from '../../client/service/unit.ts';
import { processRunner } from '../../host/machine/process.ts';
import { typeIn } from './typed-command.ts';

const PLACE: Place = {
  node: '/usr/bin/node',
  command: '/opt/recipe-sweep/bin/recipe-sweep',
  configFile: '/etc/recipe-sweep/recipe-sweep.yml',
  state: '/var/lib/recipe-sweep',
  written: ['/var/lib/docker'],
  engine: 'docker.service',
};

/** The value of a setting that is there once. */
function valueOf(unit: string, name: string): string {
  const lines = unit.split('\n').filter((line) => line.startsWith(`${name}=`));
  expect(lines).toHaveLength(1);
  return (lines[0] ?? '').slice(name.length + 1);
}

describe("the worker's unit", () => {
  test('starts this command with this node, after the engine, on the disk of its state', () => {
    const unit = workerUnit(PLACE);
    expect(valueOf(unit, 'ExecStart')).toBe(
      '/usr/bin/node /opt/recipe-sweep/bin/recipe-sweep worker --config /etc/recipe-sweep/recipe-sweep.yml',
    );
    expect(valueOf(unit, 'After')).toBe('network-online.target docker.service');
    expect(valueOf(unit, 'RequiresMountsFor')).toBe('/var/lib/recipe-sweep');
    expect(valueOf(unit, 'ReadWritePaths')).toBe('-/var/lib/recipe-sweep -/var/lib/docker');
  });

  test('waits for no unit where the engine is not the one that a unit starts', () => {
    expect(valueOf(workerUnit({ ...PLACE, engine: null }), 'Wants')).toBe('network-online.target');
  });

  test('says of each setting that it shares why it is there', () => {
    const service = workerUnit(PLACE).split('[Service]')[1] ?? '';
    const lines = (service.split('\n\n[Install]')[0] ?? '').trim().split('\n').slice(3);
    expect(lines.length).toBeGreaterThan(30);
    lines.forEach((line, index) => expect(line.startsWith('# ')).toBe(index % 2 === 0));
  });

  test.each([
    ['a blank', '/srv/a b', '"/srv/a b"'],
    ['what stands for a value of the unit', '/srv/100%n', '/srv/100%%n'],
    ['a quote', "/srv/it's", `"/srv/it's"`],
    ['a double quote', '/srv/"it"', `'/srv/"it"'`],
    ['what begins a comment', '/srv/#;x', '"/srv/#;x"'],
  ])('quotes a path with %s', (_what, folder, written) => {
    expect(valueOf(workerUnit({ ...PLACE, state: folder }), 'RequiresMountsFor')).toBe(written);
  });

  test('doubles a $ where variables are put in, and nowhere else', () => {
    const unit = workerUnit({
      ...PLACE,
      node: '/srv/$a/node',
      configFile: '/srv/$HOME/c.yml',
      state: '/srv/$s',
    });
    expect(valueOf(unit, 'ExecStart')).toBe(
      '"/srv/$a/node" /opt/recipe-sweep/bin/recipe-sweep worker --config "/srv/$$HOME/c.yml"',
    );
    expect(valueOf(unit, 'RequiresMountsFor')).toBe('"/srv/$s"');
  });

  test.each(['/srv/a\\b', '/srv/a\nExecStartPre=/bin/sh', `/srv/"it's"`])('is not made for %j', (state) => {
    expect(() => workerUnit({ ...PLACE, state })).toThrow('systemd takes no path with');
  });

  test('is not made for a node that systemd would not start', () => {
    expect(() => workerUnit({ ...PLACE, node: "/srv/it's/node" })).toThrow(
      'systemd takes no path with quotes',
    );
  });
});

describe('the unit of serve', () => {
  const unit = serveUnit(PLACE, '/var/run/docker.sock');

  test('starts this command with this node, on the disk of its state', () => {
    expect(valueOf(unit, 'ExecStart')).toBe(
      '/usr/bin/node /opt/recipe-sweep/bin/recipe-sweep serve --config /etc/recipe-sweep/recipe-sweep.yml',
    );
    expect(valueOf(unit, 'RequiresMountsFor')).toBe('/var/lib/recipe-sweep');
    expect(unit).toContain('systemctl edit recipe-sweep-serve\n');
  });

  test('leaves it its own folder to write in, and nothing of the engine or of root', () => {
    expect(valueOf(unit, 'ReadWritePaths')).toBe('-/var/lib/recipe-sweep/serve');
    expect(valueOf(unit, 'ProtectSystem')).toBe('strict');
    expect(valueOf(unit, 'InaccessiblePaths')).toBe('-/var/run/docker.sock');
    expect(valueOf(unit, 'CapabilityBoundingSet')).toBe('');
  });
});

describe('install', () => {
  let folder: string;
  let file: string;
  beforeEach(async () => {
    folder = await mkdtemp(path.join(os.tmpdir(), 'worker-unit-'));
    file = path.join(folder, 'recipe-sweep.service');
  });
  afterEach(async () => {
    await rm(folder, { recursive: true, force: true });
  });

  const commands = processRunner({ environment: { PATH: process.env['PATH'] ?? '' } });
  const unit = workerUnit(PLACE);
  const other = unit.replace('RestartSec=10', 'RestartSec=99');

  test('writes the unit where there is none, and says when it is there already', async () => {
    expect(await putUnit(commands, file, unit, false)).toBe('nothing');
    expect(await readFile(file, 'utf8')).toBe(unit);
    expect(await putUnit(commands, file, unit, false)).toBe('the same');
    expect(await readdir(folder)).toEqual(['recipe-sweep.service']);
  });

  test('leaves another one, and shows what differs', async () => {
    await writeFile(file, other);
    await expect(putUnit(commands, file, unit, false)).rejects.toThrow(/-RestartSec=99\n\+RestartSec=10/);
    expect(await readFile(file, 'utf8')).toBe(other);
  });

  test('replaces it when told to', async () => {
    await writeFile(file, other);
    expect(await putUnit(commands, file, unit, true)).toBe('another');
    expect(await readFile(file, 'utf8')).toBe(unit);
  });

  test('is refused with every mistake of the configuration, or without one', async () => {
    await writeFile(path.join(folder, 'recipe-sweep.yml'), 'host: "?"\nlimits: { attempts: 1 }\n');
    const wrong = await typeIn(folder, ['install']);
    expect([wrong.status, wrong.out]).toEqual([2, '']);
    for (const key of ['host', 'zone', 'state', 'limits.attempts']) expect(wrong.err).toContain(`  ${key}: `);
    const none = await typeIn(folder, ['install', '--write', '--config', 'none.yml']);
    expect([none.status, none.out]).toEqual([2, '']);
    expect(none.err).toContain('none.yml: cannot be read');
  });
});
