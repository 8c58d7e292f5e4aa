import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { expect, test } from 'vitest';
import { generatedFiles } from '../../setup/nix/generated.ts';
import { optionsOf } from '../../setup/nix/options.ts';

const ROOT = path.resolve(import.meta.dirname, '../..');
const EXAMPLE = await readFile(path.join(ROOT, 'recipe-sweep.example.yml'), 'utf8');

test('the options of the NixOS module are the keys of the schema, as the example explains them', async () => {
  for (const { file, text } of await generatedFiles()) {
    expect(await readFile(file, 'utf8'), `${file}: npm run nix-options`).toBe(text);
  }
});

test('an option has its default, or an example, and says what it is', () => {
  const options = new Map(optionsOf(EXAMPLE).map((option) => [option.key, option]));
  expect(options.get('zone')).toMatchObject({ required: true, default: null, example: 'ci.example.org' });
  expect(options.get('limits.attempts')).toEqual({
    key: 'limits.attempts',
    type: { kind: 'number', min: 2, max: 20 },
    required: false,
    default: 4,
    description:
      'How often a step is tried when the platform (registry, network, disk, engine) fails; at least 2.',
    example: null,
  });
  expect(options.get('temporal.tls')).toMatchObject({ type: { kind: 'group' }, required: false });
  expect(options.get('temporal.tls.ca')?.example).toBe('/etc/recipe-sweep/temporal-ca.pem');
});

test('a key that the example does not explain is no option', () => {
  expect(() => optionsOf(EXAMPLE.replace('  # One promote.\n', ''))).toThrow(
    'does not explain limits.promote',
  );
});
