import { Fault, messageOf } from '../../domain/fault.ts';
import { readRegularFile } from '../machine/regular-file.ts';
import type { Config } from './config.ts';

const HOW = 'docs/pull-requests.md says how to make one';

/** By what the forge signs its webhook. Throws Fault BadConfig where none is configured, or none can be read. */
export async function webhookSecret({ webhookSecretFile: file }: Config['serve']): Promise<string> {
  if (file === undefined) {
    throw new Fault(
      'BadConfig',
      `serve.webhookSecretFile: not set, and without a secret anybody could ask for tests; ${HOW}`,
    );
  }
  const text = await readRegularFile(file).catch((error: unknown) => {
    throw new Fault('BadConfig', `serve.webhookSecretFile: ${messageOf(error)}; ${HOW}`);
  });
  const secret = text.trim();
  if (secret === '') throw new Fault('BadConfig', `serve.webhookSecretFile: ${file} is empty; ${HOW}`);
  return secret;
}
