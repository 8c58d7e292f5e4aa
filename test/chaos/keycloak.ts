import { setTimeout as sleep } from 'node:timers/promises';
import { execa } from 'execa';

export const KEYCLOAK = 'keycloak';
/** A recipe each of whose runs has a realm there. */
export const REALM_RECIPE = 'pinboard';
/** Realms there that are somebody else's, one of them by a name as a run's has it; with the user of each. */
export const STRANGERS: Readonly<Record<string, string>> = { assembly: 'ada', 'pinboard-abcdef': 'grace' };

/** Keycloak, asked as its administrator does, without the product. */
export interface Keycloak {
  /** Its containers' IDs; none where it does not run. */
  containers(): Promise<string[]>;
  realms(): Promise<string[]>;
  users(realm: string): Promise<string[]>;
  /** Somebody's own realm, with a user in it. */
  makeRealm(realm: string, user: string): Promise<void>;
}

const TRIES = 20;

export function keycloakOf(zone: string): Keycloak {
  const stack = `warm-keycloak_${zone.replaceAll('.', '_')}`;

  async function docker(...args: string[]): Promise<string> {
    return (await execa('docker', args)).stdout;
  }

  async function address(container: string): Promise<string> {
    const format = `{{with index .Containers "${container}"}}{{.IPv4Address}}{{end}}`;
    const found = await docker('network', 'inspect', '--format', format, 'docker_gwbridge');
    return `http://${found.split('/')[0]}:8080`;
  }

  async function ask(method: string, place: string, body?: object): Promise<unknown> {
    const filter = `label=com.docker.swarm.service.name=${stack}_app`;
    const container = await docker('ps', '--quiet', '--no-trunc', '--filter', filter);
    const origin = await address(container);
    const password = await docker('exec', container, 'cat', '/run/secrets/admin_password');
    const login = await fetch(`${origin}/realms/master/protocol/openid-connect/token`, {
      method: 'POST',
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: 'admin-cli',
        username: 'admin',
        password,
      }),
    });
    const { access_token: token } = (await login.json()) as { access_token: string };
    const answer = await fetch(`${origin}/admin/realms${place}`, {
      method,
      headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json' },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${method} ${place}: ${answer.status} ${text}`);
    return text === '' ? null : JSON.parse(text);
  }

  /** It may be slow beside everything else that runs here. */
  async function read(place: string): Promise<unknown> {
    for (let time = 1; ; time++) {
      try {
        return await ask('GET', place);
      } catch (error) {
        if (time === TRIES) throw error;
        await sleep(500);
      }
    }
  }

  return {
    async containers() {
      const filter = `label=com.docker.stack.namespace=${stack}`;
      const ids = await docker('ps', '--quiet', '--filter', filter);
      return ids
        .split('\n')
        .filter((id) => id !== '')
        .sort();
    },
    async realms() {
      return ((await read('')) as { realm: string }[]).map(({ realm }) => realm).sort();
    },
    async users(realm) {
      const users = (await read(`/${realm}/users`)) as { username: string }[];
      return users.map(({ username }) => username);
    },
    async makeRealm(realm, user) {
      await ask('POST', '', { realm, enabled: true, users: [{ username: user, enabled: true }] });
    },
  };
}
