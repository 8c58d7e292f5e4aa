import { z } from 'zod';
import { Fault } from '../../domain/fault.ts';
import type { RealmSecrets } from '../../domain/dependency.ts';
import { isRealmName, isSameRun, type Realm, type RealmMark } from '../../domain/realm.ts';
import { asAdmin, type AdminApi, type KeycloakPlace } from './admin-api.ts';
import type { AdminLogin } from '../config/keycloak-admin.ts';

/**
 * The realms of runs at one Keycloak, live or cold. A realm is a run's if its name has the form and its attributes say
 * so; whatever is not, `master` before all, is never changed.
 */
export interface Realms {
  /**
   * Makes a run's realm in one request, so that there is a whole one or none; one that the run has is made anew. Answers
   * its issuer, as Keycloak says it. Throws Fault NotOurs where somebody else's has that name.
   */
  create(realm: NewRealm): Promise<{ issuer: string }>;
  /** Removes a run's realm; nothing where it has none, or somebody else's has that name. */
  remove(name: string, mark: RealmMark): Promise<void>;
  /** Every realm of our zone's runs. */
  ours(): Promise<{ name: string; mark: RealmMark }[]>;
}

export interface NewRealm extends Pick<Realm, 'name' | 'clientId' | 'user'> {
  mark: RealmMark;
  secrets: RealmSecrets;
  redirectUris: readonly string[];
}

export interface RealmsSettings {
  zone: string;
  /** Where it is asked. Throws Fault Dependency where it cannot be. */
  place(): Promise<KeycloakPlace>;
  login(): Promise<AdminLogin>;
  signal: AbortSignal;
  /** Awaited before each change. */
  guard(): Promise<void>;
}

const ATTRIBUTE = {
  zone: 'recipe-sweep.zone',
  recipe: 'recipe-sweep.recipe',
  workflow: 'recipe-sweep.workflow',
  run: 'recipe-sweep.run',
} as const;

const realmSchema = z.looseObject({
  realm: z.string(),
  attributes: z.record(z.string(), z.string()).optional(),
});
const listSchema = z.array(z.looseObject({ realm: z.string() }));
const discoverySchema = z.looseObject({ issuer: z.url({ protocol: /^https?$/ }) });

const NOT_FOUND = 404;
const TAKEN = 409;

/** Typed calls: the published client brings preview releases of a generator's runtime along, for four requests. */
export function createRealms({ zone, place, login, signal, guard }: RealmsSettings): Realms {
  async function open<T>(use: (api: AdminApi, domain: string) => Promise<T>): Promise<T> {
    const where = await place();
    return asAdmin(where, await login(), signal, (api) => use(api, where.domain));
  }

  async function markOf(api: AdminApi, name: string): Promise<RealmMark | 'not ours' | null> {
    const path = ['admin', 'realms', name];
    const { body } = await api.ask({ method: 'GET', path, taken: [NOT_FOUND], schema: realmSchema });
    return body === null ? null : (readMark(name, body) ?? 'not ours');
  }

  async function removeIfOf(
    api: AdminApi,
    name: string,
    mark: RealmMark,
  ): Promise<'removed' | 'not ours' | null> {
    const found = await markOf(api, name);
    if (found === null) return null;
    if (found === 'not ours' || !isSameRun(found, mark)) return 'not ours';
    await guard();
    const path = ['admin', 'realms', name];
    await api.ask({ method: 'DELETE', path, taken: [NOT_FOUND], schema: z.unknown() });
    return 'removed';
  }

  return {
    async create(realm) {
      const { name, mark } = realm;
      if (!isRealmName(name)) throw new RangeError(`not the name of a run's realm: ${JSON.stringify(name)}`);
      return open(async (api, domain) => {
        const body = representation(realm);
        const post = async (): Promise<number> => {
          await guard();
          const path = ['admin', 'realms'];
          return (await api.ask({ method: 'POST', path, body, taken: [TAKEN], schema: z.unknown() })).status;
        };
        if ((await post()) === TAKEN) {
          if ((await removeIfOf(api, name, mark)) === 'not ours') {
            throw new Fault(
              'NotOurs',
              `keycloak at ${domain} has a realm ${name} that this run did not make; remove it, or rename it`,
            );
          }
          if ((await post()) === TAKEN) {
            throw new Fault('Dependency', `keycloak at ${domain} says that there is a realm ${name} again`);
          }
        }
        const path = ['realms', name, '.well-known', 'openid-configuration'];
        const discovered = await api.ask({ method: 'GET', path, schema: discoverySchema });
        if (discovered.body === null) {
          throw new Fault('Dependency', `keycloak at ${domain} does not say what the issuer of ${name} is`);
        }
        return { issuer: discovered.body.issuer };
      });
    },

    async remove(name, mark) {
      if (isRealmName(name)) await open((api) => removeIfOf(api, name, mark));
    },

    async ours() {
      return open(async (api) => {
        const query = { briefRepresentation: 'true' };
        const path = ['admin', 'realms'];
        const { body } = await api.ask({ method: 'GET', path, query, schema: listSchema });
        const found: { name: string; mark: RealmMark }[] = [];
        for (const { realm: name } of body ?? []) {
          const mark = isRealmName(name) ? await markOf(api, name) : null;
          if (mark !== null && mark !== 'not ours') found.push({ name, mark });
        }
        return found;
      });
    },
  };

  /** Null where it is no realm of our zone's runs. */
  function readMark(
    name: string,
    { realm, attributes = {} }: z.output<typeof realmSchema>,
  ): RealmMark | null {
    const [recipe, id, runId] = [ATTRIBUTE.recipe, ATTRIBUTE.workflow, ATTRIBUTE.run].map(
      (one) => attributes[one],
    );
    if (realm !== name || attributes[ATTRIBUTE.zone] !== zone) return null;
    if (recipe === undefined || id === undefined || runId === undefined) return null;
    return { zone, recipe, workflow: { id, runId } };
  }
}

/** A realm with a client that keeps a secret and a user who may log in at once. */
function representation({ name, clientId, user, mark, secrets, redirectUris }: NewRealm): object {
  return {
    realm: name,
    enabled: true,
    attributes: {
      [ATTRIBUTE.zone]: mark.zone,
      [ATTRIBUTE.recipe]: mark.recipe,
      [ATTRIBUTE.workflow]: mark.workflow.id,
      [ATTRIBUTE.run]: mark.workflow.runId,
    },
    clients: [
      {
        clientId,
        enabled: true,
        protocol: 'openid-connect',
        publicClient: false,
        secret: secrets.clientSecret,
        standardFlowEnabled: true,
        // By which a check has a token without a browser.
        directAccessGrantsEnabled: true,
        redirectUris,
        // To the same places after a logout.
        attributes: { 'post.logout.redirect.uris': '+' },
      },
    ],
    users: [
      {
        username: user,
        enabled: true,
        // Without all of these the first login asks for them.
        email: `${user}@example.org`,
        emailVerified: true,
        firstName: 'Test',
        lastName: 'User',
        credentials: [{ type: 'password', value: secrets.password, temporary: false }],
      },
    ],
  };
}
