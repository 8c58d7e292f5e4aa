import { Fault } from '../../domain/fault.ts';
import type { Config } from './config.ts';
import { readSecretFile } from './secret-file.ts';

const HOW = 'docs/pull-requests.md says how to make one';

/** Whether there is all that `serve` wants of the configuration: where there is a forge, it is to sign its webhook. */
export function canServe({ forge, serve }: Pick<Config, 'forge' | 'serve'>): boolean {
  return forge === undefined || serve.webhookSecretFile !== undefined;
}

/** By what the forge signs its webhook. Throws Fault BadConfig where none is configured, or none can be read. */
export async function webhookSecret({ webhookSecretFile: file }: Config['serve']): Promise<string> {
  if (file === undefined) {
    throw new Fault(
      'BadConfig',
      `serve.webhookSecretFile: not set, and without a secret anybody could ask for tests; ${HOW}`,
    );
  }
  return readSecretFile('serve.webhookSecretFile', file, HOW);
}
