import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openNixStore, type NixStore } from './nix-store.ts';

/** flake.nix and nix/, as nix reads them; nothing is built. */

const ROOT = path.resolve(import.meta.dirname, '../..');
const read = async <T>(file: string): Promise<T> =>
  JSON.parse(await readFile(path.join(ROOT, file), 'utf8')) as T;

let nix: NixStore;
beforeAll(async () => {
  nix = await openNixStore();
});
afterAll(async () => {
  await nix.remove();
});

test.each([
  'flake.nix',
  ...['module', 'options', 'package', 'temporal', 'test'].map((name) => `nix/${name}.nix`),
])('%s is an expression of nix', async (file) => {
  expect(await nix.parse(path.join(ROOT, file))).toBe('ok');
});

test('the flake hands out the package, the module and the virtual machine', async () => {
  const { value, error } = await nix.evaluate(path.join(import.meta.dirname, 'flake.nix'));
  expect(error).toBe('');
  const [made, module, machine] = ['package', 'module', 'test'].map((name) =>
    path.join(ROOT, `nix/${name}.nix`),
  );
  const packages = { default: made, 'recipe-sweep': made };
  expect(value).toEqual({
    packages: { 'x86_64-linux': packages, 'aarch64-linux': packages },
    checks: {
      'x86_64-linux': { package: made, vm: machine },
      'aarch64-linux': { package: made, vm: machine },
    },
    overlay: { 'recipe-sweep': made },
    modules: { default: module, 'recipe-sweep': module },
  });
});

describe('the package', () => {
  interface Package {
    pname: string;
    version: string;
    src: string[];
    packages: Record<string, { resolved?: string; integrity?: string }>;
  }
  let made: Package;
  beforeAll(async () => {
    const { value, error } = await nix.evaluate(path.join(import.meta.dirname, 'package.nix'));
    expect(error).toBe('');
    made = value as Package;
  });

  test('is built of every file that dist/ is made of, and of what is shipped beside it', async () => {
    const { inputs } = await read<{ inputs: string[] }>('dist/built-from.json');
    const { files } = await read<{ files: string[] }>('package.json');
    const wanted = [...inputs, ...files.filter((file) => file !== 'dist'), 'package-lock.json', 'LICENSE'];
    const has = made.src.map((file) => path.relative(ROOT, file));
    const missing = wanted.filter((file) => !has.some((one) => file === one || file.startsWith(`${one}/`)));
    expect(missing).toEqual([]);
  });

  test('gets each npm package from the registry by its name and version, and knows its sum', () => {
    const { '': ours, ...others } = made.packages;
    expect(ours).not.toHaveProperty('resolved');
    expect(Object.values(others).filter(({ resolved, integrity }) => !resolved || !integrity)).toEqual([]);
    const from = (name: string) => others[`node_modules/${name}`]?.resolved;
    expect(from('zod')).toMatch(/^https:\/\/registry\.npmjs\.org\/zod\/-\/zod-[\d.]+\.tgz$/);
    expect(from('@temporalio/worker')).toMatch(/\/@temporalio\/worker\/-\/worker-[\d.]+\.tgz$/);
    expect(from('dockerode/node_modules/protobufjs')).toMatch(/\/protobufjs\/-\/protobufjs-[\d.]+\.tgz$/);
  });
});
