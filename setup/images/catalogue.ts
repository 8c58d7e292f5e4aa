import path from 'node:path';
import { copyNode, whatIsCopied } from '../node.ts';
import { fingerprintOf } from './cache.ts';
import { debian, type FileSystem } from './file-system.ts';
import { goProgram } from './go-program.ts';
import { keycloakDistribution } from './keycloak.ts';
import { synapse } from './matrix-synapse.ts';
import { npmApp, type NpmApp } from './npm-app.ts';
import type { Part } from './part.ts';

/**
 * The images of the fixture recipes: real software, each in two releases where recipes upgrade it, without any
 * image registry.
 */

export interface FixtureImage {
  /** Also the folder in here that holds its Dockerfile. */
  name: string;
  /** The beginning of the version; a point release of Debian's must not change what recipes name. */
  tag: string;
  /** What it begins with. */
  base: FileSystem;
  /** What its Dockerfile adds and Debian does not have. */
  part?: Part;
  /** Prints the version that is really in it. */
  versionCommand: readonly string[];
}

export function reference({ name, tag }: FixtureImage): string {
  return `localhost/recipe-sweep/${name}:${tag}`;
}

const packageVersion = (name: string): string[] => [
  'dpkg-query',
  '--show',
  '--showformat=${source:Upstream-Version}',
  name,
];

const WEB = ['nginx-light', 'redis-server', 'webdis', 'curl', 'procps'];
const webOf12 = debian('bookworm', ...WEB);
const webOf13 = debian('trixie', ...WEB);

/** What the demo and most tests deploy: made in a few minutes. */
export const SMALL_IMAGES: readonly FixtureImage[] = [
  { name: 'nginx', tag: '1.22', base: webOf12, versionCommand: packageVersion('nginx') },
  { name: 'redis', tag: '7.0', base: webOf12, versionCommand: packageVersion('redis-server') },
  { name: 'webdis', tag: '0.1.9', base: webOf12, versionCommand: packageVersion('webdis') },
  { name: 'nginx', tag: '1.26', base: webOf13, versionCommand: packageVersion('nginx') },
  { name: 'redis', tag: '8.0', base: webOf13, versionCommand: packageVersion('redis-server') },
  { name: 'webdis', tag: '0.1.22', base: webOf13, versionCommand: packageVersion('webdis') },
];

function miniflux(version: string, sum: string): FixtureImage {
  const part = goProgram({
    name: 'miniflux',
    module: 'miniflux.app/v2',
    version,
    sum,
    takes: 'half a minute',
    programs: { '.': 'miniflux' },
    versionVariable: 'miniflux.app/v2/internal/version.Version',
    tags: [],
    cgo: false,
    files: {},
    generate: [],
    folders: {},
  });
  return { name: 'miniflux', tag: version, base: webOf12, part, versionCommand: ['miniflux', '-version'] };
}

const gitAndTools = debian(
  'bookworm',
  'ca-certificates',
  'curl',
  'dumb-init',
  'gettext-base',
  'git',
  'git-lfs',
);

function gitea(version: string, sum: string, programs: Readonly<Record<string, string>>): FixtureImage {
  const embedded = ['./modules/migration', './modules/options', './modules/public', './modules/templates'];
  const part = goProgram({
    name: 'gitea',
    module: 'code.gitea.io/gitea',
    version,
    sum,
    takes: '4 minutes',
    programs,
    versionVariable: 'main.Version',
    tags: [
      'bindata',
      'netgo',
      'osusergo',
      'sqlite',
      'sqlite_omit_load_extension',
      'sqlite_unlock_notify',
      'timetzdata',
    ],
    cgo: true,
    // its pages have neither styles nor scripts here, since npm packages would have to build them
    files: { 'public/assets/.vite/manifest.json': '{}\n' },
    generate: embedded,
    folders: { 'docker/rootless': 'rootless' },
  });
  return { name: 'gitea', tag: version, base: gitAndTools, part, versionCommand: ['gitea', '--version'] };
}

/** Also the forge of the demo and of tests. */
export const FORGE_IMAGE = gitea('1.26.0', 'h1:fJP9dqLbzKrKWUVnCVTfVersZdVDuyJQLEDzCAOmKKA=', {
  '.': 'gitea',
});

const java = debian('trixie', 'openjdk-21-jre-headless', 'curl');

function keycloak(version: string, sha256: string): FixtureImage {
  const part = keycloakDistribution(version, sha256);
  return { name: 'keycloak', tag: version, base: java, part, versionCommand: ['kc.sh', '--version'] };
}

/** An app with a database that a newer release changes, for the bench. */
export const MINIFLUX_IMAGES: readonly FixtureImage[] = [
  {
    name: 'postgres',
    tag: '15',
    base: debian('bookworm', 'postgresql-15'),
    versionCommand: packageVersion('postgresql-15'),
  },
  miniflux('2.0.51', 'h1:fgbsCwdAqSWXU7O0RL+bnemELh94y4aZ29NB36N1SEw='),
  miniflux('2.2.0', 'h1:eBFbJte5Mmf9Y2+eag1xtTV4bxhnUKs/oYVOgEU+eDk='),
];

/** Whole apps, for the tests that take real ones through everything: made in a quarter of an hour. */
const APP_IMAGES: readonly FixtureImage[] = [
  ...MINIFLUX_IMAGES,
  {
    name: 'mumble',
    tag: '1.3.4',
    base: debian('bookworm', 'mumble-server'),
    versionCommand: packageVersion('mumble-server'),
  },
  {
    name: 'mumble',
    tag: '1.5.735',
    base: debian('trixie', 'mumble-server'),
    versionCommand: packageVersion('mumble-server'),
  },
  gitea('1.25.5', 'h1:OfdT1TrOmAA+AVeY8S9CVU1jJfXIk8teXfiBgDeHEUI=', {
    '.': 'gitea',
    './contrib/environment-to-ini': 'rootless/usr/local/bin/environment-to-ini',
  }),
  FORGE_IMAGE,
  keycloak('26.0.8', 'd82a52098db41f036bcfe8f2ebfd9251781c8af5959af8714e8aa9b311081786'),
  keycloak('26.1.0', '2b8ceb40a1af071ca81a06b8129a2ea8af672536112607475d753263d6bc2bc9'),
];

export const ALL_IMAGES: readonly FixtureImage[] = [...SMALL_IMAGES, ...APP_IMAGES];

/** This machine's Node. What it is made of is known only where npm started us. */
export const nodePart: Part = {
  get fingerprint() {
    return fingerprintOf(whatIsCopied());
  },
  putInto: (context) => copyNode(path.join(context, 'node')),
};

/** What servers that stand in for apps are written for: Node, and what asks databases. */
function standIn(suite: FileSystem['suite'], tag: string): FixtureImage {
  const packages = ['ca-certificates', 'curl', 'libatomic1', 'libstdc++6', 'postgresql-client', 'sqlite3'];
  const versionCommand = ['cat', '/etc/debian_version'];
  return { name: 'stand-in', tag, base: debian(suite, ...packages), part: nodePart, versionCommand };
}

/** What servers that stand in for apps run in. */
export const STAND_IN_IMAGES: readonly FixtureImage[] = [standIn('bookworm', '12'), standIn('trixie', '13')];

/** Who carries sound and pictures, and lets people in by what the app signed for them. */
function livekit(version: string, sum: string): FixtureImage {
  const part = goProgram({
    name: 'livekit-server',
    module: 'github.com/livekit/livekit-server',
    version,
    sum,
    takes: '2 minutes',
    programs: { './cmd/server': 'livekit-server' },
    versionVariable: null,
    tags: [],
    cgo: false,
    files: {},
    generate: [],
    folders: {},
  });
  const base = debian('bookworm', 'busybox', 'ca-certificates');
  return { name: 'livekit', tag: version, base, part, versionCommand: ['livekit-server', '--version'] };
}

function matrixSynapse(version: string): FixtureImage {
  const versionCommand = ['python3', '-c', 'import synapse; print(synapse.__version__)'];
  const base = debian('bookworm', 'python3', 'curl');
  return { name: 'matrix-synapse', tag: version, base, part: synapse(version), versionCommand };
}

const forNode = debian('bookworm', 'ca-certificates', 'curl', 'dumb-init', 'libatomic1', 'libstdc++6');
const NODE_APP_VERSION = ['node', '--print', "require('/app/package.json').version"];

function npmImage(name: string, app: Omit<NpmApp, 'before' | 'node'>): FixtureImage {
  const part = npmApp({ ...app, before: '2026-11-30', node: '22.23.5' });
  const [tag = app.version] = app.version.split('-');
  return { name, tag, base: forNode, part, versionCommand: NODE_APP_VERSION };
}

function blueskyPds(version: string): FixtureImage {
  // the first SQLite that brings what is built for each system
  const overrides = { 'better-sqlite3': '13.2.0' };
  return npmImage('bluesky-pds', {
    package: '@atproto/pds',
    version,
    overrides,
    builds: [],
    takes: 'a minute',
  });
}

/** Apps that are published on npm, on one Node. */
const NPM_IMAGES: readonly FixtureImage[] = [
  blueskyPds('0.4.209'),
  blueskyPds('0.4.217'),
  npmImage('ghost', { package: 'ghost', version: '6.65.0', overrides: {}, builds: [], takes: '3 minutes' }),
  npmImage('uptime-kuma', {
    package: 'uptime-kuma',
    version: '2.0.0-dev.0',
    overrides: {},
    builds: ['@louislam/sqlite3'],
    takes: '3 minutes',
  }),
];

/** What `fixtures/catalogue` names. */
export const CATALOGUE_IMAGES: readonly FixtureImage[] = [
  ...ALL_IMAGES,
  ...STAND_IN_IMAGES,
  matrixSynapse('1.148.0'),
  matrixSynapse('1.149.1'),
  livekit('1.8.4', 'h1:WYb3nX4vcZ6DesBobdATvcwh3Y+kYberRG/3aM/BwZU='),
  {
    name: 'mail',
    tag: '12',
    base: debian('bookworm', 'ca-certificates', 'curl', 'dovecot-imapd', 'dovecot-lmtpd', 'postfix'),
    versionCommand: ['cat', '/etc/debian_version'],
  },
  ...NPM_IMAGES,
  {
    name: 'mariadb',
    tag: '10.11',
    base: debian('bookworm', 'mariadb-server-core', 'mariadb-client'),
    versionCommand: packageVersion('mariadb-server-core'),
  },
];
