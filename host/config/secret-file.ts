import { Fault, messageOf } from '../../domain/fault.ts';
import { readRegularFile } from '../machine/regular-file.ts';

/**
 * The secret in a file that a key of the configuration names, without the line end. Throws Fault BadConfig, with what to
 * do, for a file that cannot be read, is no regular one or is empty.
 */
export async function readSecretFile(key: string, file: string, how: string): Promise<string> {
  const text = await readRegularFile(file).catch((error: unknown) => {
    throw new Fault('BadConfig', `${key}: ${messageOf(error)}; ${how}`);
  });
  const secret = text.trim();
  if (secret === '') throw new Fault('BadConfig', `${key}: ${file} is empty; ${how}`);
  return secret;
}
