import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { rename } from 'node:fs/promises';
import path from 'node:path';
import { pipeline } from 'node:stream/promises';
import { ensureProgram } from '../apt.ts';
import { machine } from '../machine.ts';
import { cached } from './cache.ts';
import type { Part } from './part.ts';

/** Keycloak as its makers publish it: an archive on Maven Central. */

const REPOSITORY = 'https://repo.maven.apache.org/maven2/org/keycloak/keycloak-quarkus-dist';

/** A part of an image: the folder `keycloak` of that version's distribution. */
export function keycloakDistribution(version: string, sha256: string): Part {
  const file = `keycloak-quarkus-dist-${version}.zip`;
  return {
    fingerprint: sha256,
    async putInto(folder, say) {
      const archive = await cached(`maven/${file}`, async (scratch) => {
        say(`fixture images: downloading Keycloak ${version} (147 MB)`);
        const patience = ['--connect-timeout', '20', '--speed-limit', '20000', '--speed-time', '30'];
        const quiet = ['--fail', '--silent', '--show-error', '--location', '--retry', '3'];
        const url = `${REPOSITORY}/${version}/${file}`;
        await machine.output({
          file: 'curl',
          args: [...quiet, ...patience, '--output', scratch, '--', url],
        });
        const found = await sha256Of(scratch);
        if (found !== sha256) throw new Error(`${url} has the SHA-256 ${found} and should have ${sha256}`);
      });
      await ensureProgram(say, 'unzip');
      await machine.output({ file: 'unzip', args: ['-q', archive, '-d', folder] });
      await rename(path.join(folder, `keycloak-${version}`), path.join(folder, 'keycloak'));
    },
  };
}

async function sha256Of(file: string): Promise<string> {
  const hash = createHash('sha256');
  await pipeline(createReadStream(file), hash);
  return hash.digest('hex');
}
