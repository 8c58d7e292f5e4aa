import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import os from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { readConfig } from '../../host/config/config.ts';

const EXAMPLE = path.join(import.meta.dirname, '../../recipe-sweep.example.yml');

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(path.join(os.tmpdir(), 'config-'));
});
afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

async function read(text: string): ReturnType<typeof readConfig> {
  const file = path.join(folder, 'recipe-sweep.yml');
  await writeFile(file, text);
  return readConfig(file);
}

async function refusal(text: string): Promise<string> {
  return read(text).then(
    () => 'accepted',
    (error: Error) => error.message,
  );
}

/** Every key of a nested object, dotted. */
function dottedKeys(value: unknown, prefix = ''): string[] {
  if (typeof value !== 'object' || value === null) return [prefix];
  return Object.entries(value).flatMap(([key, each]) => dottedKeys(each, prefix ? `${prefix}.${key}` : key));
}

const MINIMAL = `
host: ci-1
zone: ci.example.org
state: state
recipes: recipes
mirrors: /mirrors/{recipe}
`;

describe('the example', () => {
  test('is accepted, and has every key that the program knows', async () => {
    const written: unknown = parse(await readFile(EXAMPLE, 'utf8'));
    const known = await readConfig(EXAMPLE);
    expect(dottedKeys(written).sort()).toEqual(dottedKeys(known).sort());
  });

  test('writes the defaults where it says that it does', async () => {
    const { docker, probe, temporal, schedule, limits, path: searchPath } = await readConfig(EXAMPLE);
    expect({ docker, probe, temporal, schedule, limits, path: searchPath }).toEqual(
      await read(MINIMAL).then((minimal) => ({
        docker: minimal.docker,
        probe: minimal.probe,
        temporal: minimal.temporal,
        schedule: minimal.schedule,
        limits: minimal.limits,
        path: minimal.path,
      })),
    );
  });
});

test("relative paths start at the file's own folder", async () => {
  const config = await read(MINIMAL);
  expect(config.state).toBe(path.join(folder, 'state'));
  expect(config.recipes).toBe(path.join(folder, 'recipes'));
});

test('durations and sizes are numbers once read', async () => {
  const { limits } = await read(`${MINIMAL}limits: { sweep: 90s, headroom: 500MB }`);
  expect(limits).toMatchObject({ sweep: 90_000, headroom: 500_000_000 });
});

test.each([
  ['127.0.0.1:9464', null],
  ['[::1]:9464', null],
  ['localhost:9464', 'an IP address and a port'],
  ['127.0.0.1', 'an IP address and a port'],
  ['127.0.0.300:9464', 'no such IP address or port'],
  ['127.0.0.1:0', 'no such IP address or port'],
  ['127.0.0.1:65536', 'no such IP address or port'],
])('metrics at %s', async (listen, why) => {
  const said = await refusal(`${MINIMAL}metrics: { listen: '${listen}' }`);
  if (why === null) expect(said).toBe('accepted');
  else expect(said).toContain(`metrics.listen: ${why}`);
});

test('several mistakes are named at once, each with its dotted path', async () => {
  const message = await refusal(`
host: ci-1
zone: CI.example.org
state: state
recipes: recipes
mirrors: /mirrors/all
docker: { pull: sometimes, sokcet: /x }
limits: { sweep: 20 hours, attempts: 1 }
schedule: { time: '25:00', timezone: Mars/Olympus }
colour: green
`);
  for (const at of [
    'zone',
    'mirrors',
    'docker.pull',
    'limits.sweep',
    'limits.attempts',
    'schedule.time',
    'schedule.timezone',
  ]) {
    expect(message).toContain(`  ${at}: `);
  }
  expect(message).toContain('docker.sokcet: unknown key');
  expect(message).toContain('colour: unknown key');
  expect(message).toContain(path.join(folder, 'recipe-sweep.yml'));
});

test.each([
  ['nothing at all', ''],
  ['a list', '- host'],
  ['no YAML', 'host: [unclosed'],
  ['a number for a text', `${MINIMAL}path: 7`],
  ['a missing key', MINIMAL.replace('zone: ci.example.org', '')],
])('%s is refused', async (_what, text) => {
  expect(await refusal(text)).toContain('recipe-sweep.yml:');
});

test('a file that is not there is named', async () => {
  await expect(readConfig(path.join(folder, 'none.yml'))).rejects.toThrow('none.yml: cannot be read');
});
