import { createHmac, randomBytes } from 'node:crypto';
import { link, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { Fault, messageOf } from '../../domain/fault.ts';
import type { RealmSecrets } from '../../domain/dependency.ts';
import type { Realm } from '../../domain/realm.ts';
import { syncFolder } from '../machine/durable-file.ts';

/**
 * The secrets of runs' realms are kept nowhere: they are made, each time that they are needed, of their names and of one
 * key, `<state>/realms.key`. So no history, record or file of a run has them.
 */
export interface RealmKey {
  /**
   * A recipe's client has the same secret in each of its runs, since a canonical carries it in a secret of its stack to
   * runs whose realm is another one. The password is the run's own.
   */
  secretsOf(realm: Pick<Realm, 'clientId' | 'user'>): Promise<RealmSecrets>;
}

const KEY_BYTES = 32;

export function createRealmKey(state: string): RealmKey {
  const file = path.join(state, 'realms.key');

  async function key(): Promise<Buffer> {
    const found = await readFile(file).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return null;
      throw new Fault('RecordUnreadable', `${file}: ${messageOf(error)}`);
    });
    if (found === null) {
      await make();
      return key();
    }
    if (found.length === KEY_BYTES) return found;
    throw new Fault(
      'RecordUnreadable',
      `${file}: is cut; put back a good copy, or move it away: canonicals that log in at keycloak then have a client secret that no realm takes, and are to be promoted from nothing`,
    );
  }

  /** Of two that make it at once one does, and both go by what is there. */
  async function make(): Promise<void> {
    await mkdir(state, { recursive: true });
    const temporary = path.join(state, `.realms-${randomBytes(6).toString('hex')}.key`);
    try {
      await writeFile(temporary, randomBytes(KEY_BYTES), { mode: 0o600, flush: true });
      await link(temporary, file).catch((error: NodeJS.ErrnoException) => {
        if (error.code !== 'EEXIST') throw error;
      });
      await syncFolder(state);
    } finally {
      await rm(temporary, { force: true });
    }
  }

  return {
    async secretsOf({ clientId, user }) {
      const used = await key();
      const secret = (name: string): string => createHmac('sha256', used).update(name).digest('base64url');
      return { clientSecret: secret(`client ${clientId}`), password: secret(`user ${user}`) };
    },
  };
}
