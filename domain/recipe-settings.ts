import type { Tier } from './outcome.ts';

/** How an app that speaks HTTP is asked whether it serves. */
export interface HttpProbe {
  protocol: 'http';
  path: string;
  /** Accepted status codes; null means any 2xx or 3xx. */
  status: readonly number[] | null;
  /** Text that the body must contain; null means none is asked for. */
  contains: string | null;
  /** Whether redirects within the app's own domain are followed before the answer is judged. */
  redirects: 'answer' | 'follow';
  /** Whether the certificate must be one that a browser trusts. */
  certificate: 'any' | 'trusted';
}

/** What an app without a probe of its own must answer. */
export const ANY_ANSWER: HttpProbe = {
  protocol: 'http',
  path: '/',
  status: null,
  contains: null,
  redirects: 'answer',
  certificate: 'any',
};

/** How an app that speaks something else is asked. */
export interface SocketProbe {
  protocol: 'tcp' | 'udp';
  /** The port inside the container. */
  port: number;
  /** The service whose port it is. */
  service: string;
  /** TCP only: the bytes travel in TLS, whatever the certificate. */
  tls: boolean;
  /** Bytes sent once connected, in hexadecimal; null for none. */
  send: string | null;
  /** A regular expression that the answer's bytes, in hexadecimal, must match; null asks for any answer. */
  expect: string | null;
}

export type Probe = HttpProbe | SocketProbe;

/**
 * What a recipe's folder may bring to do beside the recipe itself, as executables in its hooks/:
 * `install` before anything is deployed (inserts secrets), `ready` once every task runs and before the app is
 * asked to serve (seeds content), `write-data` and `check-data` around upgrade and restore, and one before and
 * after each tier.
 */
export const HOOKS = ['install', 'ready', 'write-data', 'check-data'] as const;
export type TierHook = `${'before' | 'after'}-${Tier}`;
export type Hook = (typeof HOOKS)[number] | TierHook;

/** A checked recipes/<name>/ folder. */
export interface RecipeSettings {
  recipe: string;
  /** The git URL (or path) of the recipe's home repository. */
  upstream: string;
  /** Why the recipe is not enrolled although it has a folder; null when it is enrolled. */
  exception: string | null;
  /** Whether it is a shared live service, which is never enrolled and has its own reconcile. */
  live: boolean;
  /** Whether an upgrade of the service may change data; null: as the backupbot labels of its release say. */
  stateful: boolean | null;
  /** Why an enrolled recipe is not run for now; null when it is. */
  hold: string | null;
  /** Set over what .env.sample says, in every deployment of the recipe. */
  env: Record<string, string>;
  /** Set over `env` as well from the upgrade on: in the release that follows the upgrade base, and at promote. */
  upgradeEnv: Record<string, string>;
  /** Whether a pre-release of the recipe (`2.0.0-rc1+…`) is tested like any release. */
  preReleases: boolean;
  /** Services that are done once they left with 0, although their restart policy is on-failure. */
  oneShot: string[];
  /** Recipes that must run beside it; each has a cold deployment of its own for the run. */
  deps: string[];
  /** Programs that its hooks and checks need beside those that every host has. */
  tools: string[];
  /** Null: HTTP as the proxy's labels say, else the tasks alone are judged. */
  probe: Probe | null;
  /** Names of policy findings that this recipe may have: `docker-socket`, `host-path:/srv/media`. */
  allow: string[];
  /** Milliseconds that one hook, and one check, may take. */
  timeouts: { hook: number; check: number };
  /** Absolute paths of the executables in hooks/. */
  hooks: Partial<Record<Hook, string>>;
  /** Absolute paths of the executables in checks/, in the order of their names. */
  checks: string[];
  /** Absolute path of overlay.yml, a compose file that is put over the recipe's own; null without one. */
  overlay: string | null;
}
