import * as crypto from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { fingerprintOf, maskSecrets, maskValues } from '../../host/secrets/fingerprint.ts';
import { secretValue } from '../../host/secrets/ensure.ts';

vi.mock('node:crypto', async (original) => {
  const real = await original<typeof crypto>();
  return { ...real, createHash: vi.fn<typeof real.createHash>(real.createHash) };
});

test('a secret is masked wherever it stands, by its fingerprint alone', async () => {
  const values = [
    secretValue({ length: 32, alphabet: 'abcdef0123456789' }),
    secretValue({ length: 12, alphabet: '!@#$%^&*_-+=' }),
    secretValue({ length: null, alphabet: '' }),
  ];
  const fingerprints = values.map(fingerprintOf);
  const text = values.map((value) => `password=${value}; url redis://:${value}@db "${value}"`).join('\n');
  const masked = await maskSecrets(text, fingerprints);
  for (const value of values) expect(masked).not.toContain(value);
  expect(masked.match(/\*\*\*/g)).toHaveLength(9);
  expect(masked).toContain('url redis://:***@db');
});

test('a fingerprint holds nothing of the secret, and is another one each time', () => {
  expect(fingerprintOf('hunter2hunter2')).not.toContain('hunter');
  expect(fingerprintOf('hunter2hunter2')).not.toBe(fingerprintOf('hunter2hunter2'));
});

describe('a secret of several lines, or words', () => {
  const line = () => secretValue({ length: 64, alphabet: 'abcdefghijkmnopqrstuvwxyz0123456789' });
  const key = ['-----BEGIN PRIVATE KEY-----', line(), line(), line().slice(0, 20), ''].join('\n');
  const printed = key
    .split('\n')
    .map((one) => `12:00 key: ${one}`)
    .join('\n');

  test('is masked where its lines are printed', async () => {
    const masked = await maskSecrets(printed, [fingerprintOf(key)]);
    for (const one of key.split('\n').slice(1, -1)) expect(masked).not.toContain(one);
    expect(masked).toContain('12:00 key: ***\n');
  });

  test('is masked by its value as by its fingerprint', async () => {
    expect(maskValues(printed, [key])).toBe(await maskSecrets(printed, [fingerprintOf(key)]));
  });

  test('hides no common words', async () => {
    const [text, phrase] = ['all the horses stand', 'the horses stand-by-me-always'];
    expect(await maskSecrets(text, [fingerprintOf(phrase)])).toBe(text);
    expect(maskValues(`${text}; ${phrase}`, [phrase])).toBe(`${text}; ***`);
  });
});

test('what is too short to be a secret hides nothing', async () => {
  expect(await maskSecrets('1 and 1 is yes', [fingerprintOf('1'), fingerprintOf('yes')])).toBe(
    '1 and 1 is yes',
  );
  expect(maskValues('1 and 1', ['1', ''])).toBe('1 and 1');
});

test('text without it stays as it is, and a label that is no fingerprint hides nothing', async () => {
  const fingerprints = [fingerprintOf('x'.repeat(20)), '1:00:00', 'nonsense', '0::'];
  expect(await maskSecrets('all is well\n', fingerprints)).toBe('all is well\n');
});

test.each([
  ['with', (fingerprint: string) => fingerprint],
  ['without', (fingerprint: string) => fingerprint.split(':').slice(0, 3).join(':')],
])('a long text without a blank leaves other work its turn, %s a roll', async (_, written) => {
  let turns = 0;
  let ticking = true;
  const tick = (): void => {
    turns += 1;
    if (ticking) setImmediate(tick);
  };
  setImmediate(tick);
  await maskSecrets('a'.repeat(200_000), [written(fingerprintOf('b'.repeat(32)))]);
  ticking = false;
  expect(turns).toBeGreaterThan(10);
});

describe('one line of 512 kB without a blank', () => {
  const pieces = Array.from({ length: 40 }, (_, at) =>
    secretValue({ length: 20 + at, alphabet: 'abcdefghijkmnopqrstuvwxyz' }),
  );
  // No part of it stands there twice: a place whose roll is the secret's by chance would count each time.
  const text = pieces
    .map((piece) => secretValue({ length: 13_000, alphabet: 'abcdefghijkmnopqrstuvwxyz' }) + piece)
    .join('');

  test('is looked through for a secret of many lines with few sums, and each of them is masked', async () => {
    const fingerprint = fingerprintOf(pieces.join('\n'));
    vi.mocked(crypto.createHash).mockClear();
    const masked = await maskSecrets(text, [fingerprint]);
    for (const piece of pieces) expect(masked).not.toContain(piece);
    expect(text.length).toBeGreaterThan(500_000);
    expect(vi.mocked(crypto.createHash).mock.calls.length).toBeLessThan(text.length / 100);
  });
});

test('a fingerprint written without a roll masks as before', async () => {
  const value = secretValue({ length: 32, alphabet: 'abcdef0123456789' });
  const before = fingerprintOf(value).split(':').slice(0, 3).join(':');
  expect(await maskSecrets(`key=${value};`, [before])).toBe('key=***;');
});
