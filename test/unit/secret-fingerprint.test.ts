import { expect, test } from 'vitest';
import { fingerprintOf, maskSecrets } from '../../host/secret-fingerprint.ts';
import { secretValue } from '../../host/secrets.ts';

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

test('text without it stays as it is, and a label that is no fingerprint hides nothing', async () => {
  const fingerprints = [fingerprintOf('x'.repeat(20)), '1:00:00', 'nonsense', '0::'];
  expect(await maskSecrets('all is well\n', fingerprints)).toBe('all is well\n');
});

test('a megabyte without a blank leaves other work its turn', async () => {
  let turns = 0;
  const ticker = setInterval(() => turns++, 20);
  await maskSecrets('a'.repeat(200_000), [fingerprintOf('b'.repeat(32))]);
  clearInterval(ticker);
  expect(turns).toBeGreaterThan(2);
});
