import { readFile } from 'node:fs/promises';
import { Fault, messageOf } from '../../domain/fault.ts';
import type { Config } from './config.ts';

/** How a Temporal server is connected to: what both the worker's connection and the client's take. */
export interface TemporalAccess {
  address: string;
  /** Null is an unprotected connection. */
  tls: {
    serverNameOverride?: string;
    serverRootCACertificate?: Buffer;
    clientCertPair?: { crt: Buffer; key: Buffer };
  } | null;
  apiKey?: string;
}

/** Reads the files that the configuration names. Throws Fault BadConfig for one that cannot be read, or is empty. */
export async function temporalAccess({
  address,
  tls,
  apiKeyFile,
}: Config['temporal']): Promise<TemporalAccess> {
  const key =
    apiKeyFile === undefined ? {} : { apiKey: (await read('apiKeyFile', apiKeyFile)).toString().trim() };
  if (tls === undefined) return { address, tls: null, ...key };
  const { ca, cert, key: privateKey, serverName } = tls;
  return {
    address,
    tls: {
      ...(serverName === undefined ? {} : { serverNameOverride: serverName }),
      ...(ca === undefined ? {} : { serverRootCACertificate: await read('tls.ca', ca) }),
      ...(cert === undefined || privateKey === undefined
        ? {}
        : { clientCertPair: { crt: await read('tls.cert', cert), key: await read('tls.key', privateKey) } }),
    },
    ...key,
  };
}

async function read(name: string, file: string): Promise<Buffer> {
  const text = await readFile(file).catch((error: unknown) => {
    throw new Fault('BadConfig', `temporal.${name}: ${messageOf(error)}`);
  });
  if (text.toString().trim() === '') throw new Fault('BadConfig', `temporal.${name}: ${file} is empty`);
  return text;
}
