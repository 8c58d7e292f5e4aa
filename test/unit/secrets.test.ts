import { mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import type Dockerode from 'dockerode';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { NeededSecret } from '../../host/secrets/needed.ts';
import { maskSecrets } from '../../host/secrets/fingerprint.ts';
import { ensureSecrets, inSecretsFolder } from '../../host/secrets/ensure.ts';

let scratch: string;
beforeEach(() => {
  scratch = mkdtempSync(path.join(tmpdir(), 'secrets-'));
});
afterEach(() => rmSync(scratch, { recursive: true }));

describe("what a hook wrote into its secrets' folder", () => {
  const written = async (value: string | Buffer): Promise<string | undefined> => {
    const { values } = await inSecretsFolder(scratch, (folder, read) => {
      writeFileSync(path.join(folder, 'key'), value);
      return read();
    });
    return values.get('key')?.toString('latin1');
  };

  it('is a line without its end, or several lines as they are', async () => {
    expect(await written('word')).toBe('word');
    expect(await written('word\n')).toBe('word');
    expect(await written('word\r\n')).toBe('word');
    expect(await written(' two words \n')).toBe(' two words ');
    expect(await written('-----BEGIN-----\nxyz\n')).toBe('-----BEGIN-----\nxyz\n');
    expect(await written('word\n\n')).toBe('word\n\n');
  });

  it('may be bytes of any kind', async () => {
    const bytes = Buffer.from([0, 255, 254, 10]);
    expect(await written(bytes)).toBe('\u0000\u00ff\u00fe');
  });

  it('is refused, all at once, where it is no value', async () => {
    const { values, problem } = await inSecretsFolder(scratch, (folder, read) => {
      writeFileSync(path.join(folder, 'empty'), '\n');
      writeFileSync(path.join(folder, 'fine'), 'word');
      writeFileSync(path.join(folder, 'large'), Buffer.alloc(500 * 1024 + 1));
      mkdirSync(path.join(folder, 'more'));
      symlinkSync('/etc/passwd', path.join(folder, 'other'));
      return read();
    });
    expect([...values.keys()]).toEqual(['fine']);
    expect(problem).toBe(
      'in $SECRETS_DIR empty is empty, large is larger than 512000 bytes, the most that a secret has, more is not a file, other is not a file',
    );
  });

  it('is read once, and on no disk afterwards, whatever happened', async () => {
    const broken = inSecretsFolder(scratch, async (folder, read) => {
      writeFileSync(path.join(folder, 'key'), 'word');
      const { values } = await read();
      writeFileSync(path.join(folder, 'key'), 'another');
      expect((await read()).values).toBe(values);
      throw new Error('the hook failed');
    });
    await expect(broken).rejects.toThrow('the hook failed');
    expect(readdirSync(scratch)).toEqual([]);
  });

  it('is in a folder that nobody else may look into', async () => {
    const below = path.join(scratch, 'app');
    const modes = await inSecretsFolder(below, async (folder) =>
      [below, folder].map((one) => statSync(one).mode & 0o777),
    );
    expect(modes).toEqual([0o700, 0o700]);
  });
});

describe('secrets', () => {
  const needed = (key: string, generate: boolean): NeededSecret => ({
    key,
    name: `thin_${key}_v1`,
    length: 12,
    alphabet: 'ab',
    generate,
  });

  /** An engine that has these secrets. Answers what was made, by name. */
  async function ensure(
    present: string[],
    wanted: NeededSecret[],
    written: Record<string, string>,
    refusal?: Error,
  ) {
    const made: Record<string, { value: string; labels: Record<string, string> }> = {};
    const docker = {
      listSecrets: async () => present.map((Name) => ({ Spec: { Name } })),
      async createSecret({
        Name,
        Data,
        Labels,
      }: {
        Name: string;
        Data: string;
        Labels: Record<string, string>;
      }) {
        if (refusal) throw refusal;
        made[Name] = { value: Buffer.from(Data, 'base64').toString(), labels: Labels };
      },
    } as unknown as Dockerode;
    const host = { docker, guard: async () => undefined, labels: { zone: 'test' } };
    const values = new Map(Object.entries(written).map(([key, value]) => [key, Buffer.from(value)]));
    return { made, result: await ensureSecrets(host, wanted, values) };
  }

  it('are made of what the hook wrote, also one that could be generated; the others are generated', async () => {
    const wanted = [needed('hand', false), needed('own', true), needed('made', true)];
    const { made, result } = await ensure([], wanted, { hand: 'by-hand-word', own: 'own-word' });
    expect(result).toEqual({ ok: true });
    expect(made['thin_hand_v1']?.value).toBe('by-hand-word');
    expect(made['thin_own_v1']?.value).toBe('own-word');
    expect(made['thin_made_v1']?.value).toMatch(/^[ab]{12}$/);
    const { zone, ...fingerprint } = made['thin_hand_v1']?.labels ?? {};
    expect(zone).toBe('test');
    expect(await maskSecrets('says by-hand-word', Object.values(fingerprint))).toBe('says ***');
  });

  it('that are there already stay as they are', async () => {
    const { made, result } = await ensure(['thin_hand_v1'], [needed('hand', false)], { hand: 'other' });
    expect([made, result]).toEqual([{}, { ok: true }]);
  });

  it('that the engine does not take are the recipe’s fault, and anything else is not', async () => {
    const refused = (statusCode: number, message: string) =>
      ensure([], [needed('own', true)], {}, Object.assign(new Error(message), { statusCode }));
    expect((await refused(400, '(HTTP code 400) unexpected - invalid secret name')).result).toEqual({
      ok: false,
      reason: 'the engine takes no secret thin_own_v1: invalid secret name',
    });
    expect((await refused(409, 'already exists')).result).toEqual({ ok: true });
    await expect(refused(500, 'no space left on device')).rejects.toMatchObject({ type: 'Disk' });
  });

  it('that nobody brings are missed by name and file, before any is made', async () => {
    const { made, result } = await ensure([], [needed('own', true), needed('hand', false)], {});
    expect(made).toEqual({});
    expect(result).toEqual({
      ok: false,
      reason:
        "secrets that .env.sample says not to generate are missing: thin_hand_v1 ($SECRETS_DIR/hand); the recipe's install hook has to insert them",
    });
  });

  it('of a key that no service uses are refused, before any is made', async () => {
    const { made, result } = await ensure([], [needed('own', true)], { onw: 'x' });
    expect(made).toEqual({});
    expect(result).toMatchObject({ reason: expect.stringContaining('inserts onw, but no service') });
    expect((await ensure([], [], { onw: 'x' })).result).toMatchObject({
      reason: expect.stringMatching(/those are: none$/),
    });
  });
});
