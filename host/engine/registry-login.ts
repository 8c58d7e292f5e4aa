import type Dockerode from 'dockerode';
import { z } from 'zod';
import { readJson } from '../machine/durable-file.ts';
import { registryOf } from './image-name.ts';

/** What `docker login` writes, as far as it is needed: base64 of `user:password`, or a token, by registry. */
const loginsSchema = z.object({
  auths: z
    .record(z.string(), z.object({ auth: z.string().optional(), identitytoken: z.string().optional() }))
    .default({}),
});

/**
 * What the engine is to tell the registry that an image comes from; undefined without a login there. A login that
 * docker keeps in a helper's store is none for us. Throws Fault RecordUnreadable.
 */
export async function loginFor(file: string, image: string): Promise<Dockerode.AuthConfig | undefined> {
  const registry = registryOf(image);
  const { auth, identitytoken } = (await readJson(file, loginsSchema))?.auths[registry] ?? {};
  if (auth === undefined || auth === '') return undefined;
  const [username = '', ...password] = Buffer.from(auth, 'base64').toString('utf8').split(':');
  return {
    username,
    password: password.join(':'),
    serveraddress: registry,
    ...(identitytoken === undefined ? {} : { identitytoken }),
  };
}
