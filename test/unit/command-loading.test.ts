import path from 'node:path';
import { execa } from 'execa';
import { expect, test } from 'vitest';

const ROOT = path.resolve(import.meta.dirname, '../..');

/** Whether a command's file, loaded alone, loads Temporal's client: half a second of gRPC and message types. */
async function loadsClient(file: string): Promise<boolean> {
  const script = `
    import { createRequire } from 'node:module';
    await import(process.argv[1]);
    const loaded = Object.keys(createRequire(process.argv[1]).cache);
    console.log(loaded.some((name) => name.includes('/@temporalio/client/')));
  `;
  const args = ['--import', 'tsx', '--input-type=module', '--eval', script, path.join(ROOT, file)];
  const { stdout } = await execa(process.execPath, args, { cwd: ROOT });
  return stdout === 'true';
}

test.each(['alert', 'results', 'canonical', 'ledger', 'recipe'])(
  '%s reads files without it',
  async (name) => {
    expect(await loadsClient(`client/commands/${name}.ts`)).toBe(false);
  },
);

test('what asks the server has it', async () => {
  expect(await loadsClient('client/commands/sweep.ts')).toBe(true);
});
