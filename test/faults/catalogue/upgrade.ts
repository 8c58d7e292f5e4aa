import { app, ROW, script, type Entry, type Tree } from '../entry.ts';

/** What is wrong, or only odd, when a release is deployed over the one before it. */

/** What of the app's update is other than usual. */
function updated(text: string, update: Tree): Tree {
  return app(text, { healthcheck: null, deploy: { update_config: { monitor: '3s', ...update } } });
}

/** The app, and another service with a volume of its own. */
function withCache(name: string): Tree {
  const deploy = { restart_policy: { delay: '1s' }, update_config: { monitor: '1s' } };
  return {
    services: {
      [name]: {
        image: '{{image}}',
        ...script('exec sleep 100000'),
        volumes: ['cache:/cache'],
        stop_grace_period: '1s',
        deploy,
      },
    },
    volumes: { cache: {} },
  };
}

const STATIC: Tree = {
  services: { app: { volumes: ['data:/data', 'static:/static'] } },
  volumes: { static: {} },
};

const CONFIG: Tree = {
  services: { app: { configs: [{ source: 'settings', target: '/settings' }] } },
  configs: { settings: { name: '${STACK_NAME}_settings', file: 'settings.txt' } },
};

const VERSIONED: Tree = {
  ...CONFIG,
  configs: { settings: { name: '${STACK_NAME}_settings_${SETTINGS_VERSION}', file: 'settings.txt' } },
};

export const UPGRADE: readonly Entry[] = [
  {
    name: 'upgrade-plain',
    planted: 'nothing, in two releases',
    matters: 'an upgrade that works must be seen to work',
    releases: [{}, {}],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { install: 'pass', upgrade: 'pass' }, level: 2 },
  },
  {
    name: 'upgrade-exits-at-once',
    planted: 'the second release exits with 1 as soon as it is started',
    matters: 'red is the release, and its base is not',
    releases: [{}, { compose: app('exit 1'), timeout: 8 }],
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'non-zero exit (1)' },
  },
  {
    name: 'upgrade-crashes-once',
    planted: 'after an update without failure_action it exits once, and runs from then on',
    matters: 'the swarm says paused for ever, although all of it runs as asked for',
    releases: [
      {},
      { compose: updated('[ -e /data/once ] || { touch /data/once; sleep 1; exit 1; }; exec serve', {}) },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' } },
  },
  {
    name: 'upgrade-rolled-back',
    planted: 'the second release exits, and the swarm goes back to the first',
    matters: 'the app answers, with the release before',
    releases: [{}, { compose: updated('exit 1', { failure_action: 'rollback' }), timeout: 15 }],
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'rollback' },
  },
  {
    name: 'upgrade-rolled-back-beside',
    planted: 'the second release exits beside the first, which never stopped, and the swarm goes back',
    matters: 'nobody ever saw the app away, and it is not the release that runs',
    releases: [
      {},
      { compose: updated('exit 1', { failure_action: 'rollback', order: 'start-first' }), timeout: 15 },
    ],
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'rollback' },
  },
  {
    name: 'upgrade-paused-beside',
    planted: 'the second release exits beside the first, and the update is paused',
    matters: 'the app answers, with the release before',
    releases: [
      {},
      { compose: updated('exit 1', { failure_action: 'pause', order: 'start-first' }), timeout: 10 },
    ],
    expected: { outcome: 'FAIL', tier: 'upgrade' },
  },
  {
    name: 'upgrade-renames-its-volume',
    planted: 'the second release calls its volume by another name',
    matters: 'the data is still on the host, and the app has none of it',
    releases: [
      {},
      {
        compose: {
          services: { app: { volumes: ['files:/data'] } },
          volumes: { data: null, files: {} },
        },
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'check-data' },
  },
  {
    name: 'upgrade-moves-its-folder',
    planted: 'the second release mounts the same volume where the app does not look',
    matters: 'postgres moved its folder in 18, and started with an empty one',
    releases: [{}, { compose: { services: { app: { volumes: ['data:/var/data'] } } } }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'check-data' },
  },
  {
    name: 'upgrade-empties-its-volume',
    planted: 'the second release deletes all that is in its volume; nobody wrote a check-data',
    matters: 'of many files not one is left, and that needs no other witness',
    releases: [
      { compose: app('touch /data/one /data/two /data/three; exec serve') },
      { compose: app('rm -rf /data/* /data/.[!.]*; exec serve') },
    ],
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'lost what was written' },
  },
  {
    name: 'refills-its-assets',
    planted: 'each start empties a volume of assets and fills it anew',
    matters: 'images that rsync --delete into a volume took our mark with them, and were called red',
    releases: [
      { compose: { ...STATIC, services: { app: { volumes: ['data:/data', 'static:/static'] } } } },
      {
        compose: {
          ...STATIC,
          services: {
            app: {
              volumes: ['data:/data', 'static:/static'],
              ...script('rm -rf /static/* /static/.[!.]*; touch /static/asset; exec serve'),
            },
          },
        },
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' }, says: 'removed a file of ours' },
  },
  {
    name: 'upgrade-renames-a-service',
    planted: 'the second release calls a service by another name',
    matters: 'abra does not prune: the old one goes on, on the same volume, and must be told of',
    releases: [{ compose: withCache('cache') }, { compose: withCache('store') }],
    folder: { hooks: ROW },
    expected: {
      outcome: 'PASS',
      tiers: { upgrade: 'pass' },
      says: 'cache, which it no longer has, still runs',
    },
  },
  {
    name: 'config-changed',
    planted: 'a config has other contents in the second release, and the same name',
    matters: 'the swarm refuses to change a config, on every host that is upgraded',
    releases: [
      { compose: CONFIG, files: { 'settings.txt': 'colour = red\n' } },
      { compose: CONFIG, files: { 'settings.txt': 'colour = blue\n' } },
    ],
    expected: { outcome: 'FAIL', tier: 'upgrade', says: 'docker refuses' },
  },
  {
    name: 'config-changed-with-its-version',
    planted: 'a config has other contents in the second release, and another version in its name',
    matters: 'that is how it is done',
    releases: [
      {
        compose: VERSIONED,
        files: { 'settings.txt': 'colour = red\n', 'abra.sh': 'export SETTINGS_VERSION=v1\n' },
      },
      {
        compose: VERSIONED,
        files: { 'settings.txt': 'colour = blue\n', 'abra.sh': 'export SETTINGS_VERSION=v2\n' },
      },
    ],
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' } },
  },
  {
    name: 'post-upgrade-commands',
    planted: 'a command that abra runs after an upgrade makes what a check looks for',
    matters: 'an operator gets the migration that lives there',
    releases: [
      {},
      {
        env: ['POST_UPGRADE_CMDS="app migrate"'],
        files: { 'abra.sh': 'migrate() {\n  touch /data/migrated\n}\n' },
      },
    ],
    folder: {
      hooks: ROW,
      checks: { migrated: '[ "$VERSION" = 1.0.0+1 ] || in-service app test -e /data/migrated' },
    },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass', custom: 'pass' } },
  },
  {
    name: 'upgrade-wants-a-setting',
    planted: 'the second release needs a setting that its notes tell operators to add, and recipe.yml has it',
    matters: 'who upgrades reads the notes, and so does whoever keeps the recipe’s folder',
    releases: [
      {},
      {
        compose: app('[ "$MODE" = new ] && exec serve', { environment: ['MODE'] }),
        env: ['MODE=old'],
        timeout: 12,
      },
    ],
    folder: { hooks: ROW, settings: { upgrade_env: { MODE: 'new' } } },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' } },
  },
  {
    name: 'base-image-gone',
    planted: 'the image of the canonical is gone from its registry and from this host',
    matters:
      'the next release is not at fault, and an older one installs; the canonical cannot be reattached',
    releases: [{}, { imageLeaves: true }, {}],
    folder: { hooks: ROW },
    expected: {
      outcome: 'GREEN-BUT-PROMOTE-FAILED',
      tiers: { install: 'pass', upgrade: 'pass' },
      says: '1.1.0+1 does not install',
    },
  },
  {
    name: 'every-base-gone',
    planted: 'the image of the only release before it is gone from its registry and from this host',
    matters: 'the release is asked from nothing, and nothing is said of its upgrade',
    releases: [{ imageLeaves: true }, {}],
    folder: { hooks: ROW },
    expected: {
      outcome: 'GREEN-BUT-PROMOTE-FAILED',
      tiers: { install: 'pass', upgrade: 'skipped' },
      says: '1.0.0+1 does not install',
    },
  },
  {
    name: 'fails-on-old-data',
    planted: 'the second release runs on new data, and not on data that was started on twice',
    matters: 'gitea 3.6.0 passed from nothing and crashed on reattached data',
    releases: [
      { compose: app('echo started >> /data/starts; exec serve') },
      { compose: app('[ "$(wc -l < /data/starts)" -lt 2 ] && exec serve'), timeout: 12 },
    ],
    expected: {
      outcome: 'GREEN-BUT-PROMOTE-FAILED',
      tiers: { upgrade: 'pass' },
      says: "the canonical's data",
    },
  },
];
