import { app, ROW, script, type Entry, type Tree } from '../entry.ts';
import { IN_MEMORY } from './backup.ts';

/** What was met in a year of testing the 21 recipes, each under the name of the recipe that had it. */

/** 3.5.2 makes data without an LFS secret, 3.5.3 with one, and 3.6.0 wants to have one. */
const WITH_APP_INI: Tree = {
  configs: { 'app-ini': { name: '${STACK_NAME}_app_ini_${APP_INI_VERSION}', file: 'app.ini' } },
};
const APP_INI = { 'app.ini': '[server]\n', 'abra.sh': 'export APP_INI_VERSION=v1\n' };

function gitea(start: string): { compose: Tree; files: Readonly<Record<string, string>> } {
  const mounted = { configs: [{ source: 'app-ini', target: '/app.ini' }] };
  return { compose: { ...WITH_APP_INI, ...app(`set -e\n${start}\nexec serve`, mounted) }, files: APP_INI };
}

/** A page of the app's own, which a front fetches from the service app and shows to visitors. */
function behindFront(upstream: string): Tree {
  const kept = ['coop-cloud.${STACK_NAME}.version={{version}}', 'coop-cloud.${STACK_NAME}.timeout=15'];
  const routed = [
    'traefik.enable=true',
    'traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)',
    'traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080',
  ];
  const fetching = `while true; do wget -qO /tmp/page ${upstream} && cp /tmp/page /www/index.html; sleep 1; done`;
  return {
    services: {
      app: {
        ...script('echo a page of its own > /www/index.html; exec serve'),
        networks: ['internal'],
        deploy: { labels: kept },
      },
      web: {
        image: '{{image}}',
        command: ['sh', '-c', `rm /www/index.html; touch /www/up; ${fetching} & exec serve`],
        networks: ['proxy', 'internal'],
        stop_grace_period: '1s',
        healthcheck: {
          test: ['CMD', 'wget', '-qO-', 'http://127.0.0.1:8080/up'],
          interval: '1s',
          retries: 5,
        },
        deploy: {
          endpoint_mode: 'dnsrr',
          update_config: { monitor: '1s' },
          restart_policy: { delay: '1s' },
          labels: routed,
        },
      },
    },
    networks: { internal: {} },
  };
}

const OWN_PAGE = { probe: { contains: 'a page of its own' } } as const;

export const TRAITS: readonly Entry[] = [
  {
    name: 'gitea-on-old-data',
    planted:
      'the third release writes a secret that old data lack into app.ini, a config, which is read-only',
    matters:
      'gitea 3.6.0 passes from nothing, and crashes on the data that a user has; the fourth finds them whole',
    releases: [
      { version: '3.5.2+1', ...gitea('[ -e /data/schema ] || echo 3.5 > /data/schema') },
      {
        version: '3.5.3+1',
        ...gitea('[ -e /data/schema ] || { echo 3.5 > /data/schema; echo made > /data/lfs_jwt; }'),
      },
      {
        version: '3.6.0+1',
        ...gitea(
          [
            '[ -e /data/schema ] || echo made > /data/lfs_jwt',
            'echo 3.6 > /data/schema',
            '[ -e /data/lfs_jwt ] || echo LFS_JWT_SECRET = made >> /app.ini',
          ].join('\n'),
        ),
        labels: ['backupbot.backup=true'],
        timeout: 12,
        comes: {
          outcome: 'GREEN-BUT-PROMOTE-FAILED',
          tiers: { install: 'pass', upgrade: 'pass', backup: 'pass', restore: 'pass' },
          says: "upgrading the canonical's data from 3.5.3+1",
          canonical: '3.5.3+1',
        },
      },
      {
        version: '3.6.1+1',
        ...gitea('[ -e /data/lfs_jwt ] || [ ! -e /data/schema ] || grep -qx 3.5 /data/schema'),
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' } },
  },
  {
    name: 'drone-leftover-secret',
    planted: 'a promote that broke off has left client_secret_v1 at the warm domain, with another value',
    matters:
      'it blocked the next promote of drone; the secret that an app gets is the one that its hook brings',
    releases: [
      {
        compose: {
          services: {
            app: {
              secrets: ['client_secret'],
              ...script('grep -qx of-this-run /run/secrets/client_secret && exec serve'),
            },
          },
          secrets: {
            client_secret: {
              external: true,
              name: '${STACK_NAME}_client_secret_${SECRET_CLIENT_SECRET_VERSION}',
            },
          },
        },
        env: ['SECRET_CLIENT_SECRET_VERSION=v1 # generate=false'],
      },
    ],
    folder: { hooks: { install: 'echo of-this-run > "$SECRETS_DIR/client_secret"' } },
    leftovers: { client_secret_v1: 'of-one-that-failed' },
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
  {
    name: 'ghost-dirty-tree',
    planted: 'hooks leave a file in the checkout of the recipe, and change and remove others',
    matters: 'ghost was red on a checkout that was not clean; each step has one of its own, of that commit',
    releases: [{}, {}],
    folder: {
      hooks: {
        ...ROW,
        install: 'cd "$RECIPE_DIR"; echo "services: {" > compose.yml; echo A=b > left-behind; rm README.md',
        ready: 'cd "$RECIPE_DIR"; echo "no line" >> .env.sample; rm -f abra.sh',
      },
    },
    expected: { outcome: 'PASS', tiers: { install: 'pass', upgrade: 'pass' }, level: 2 },
  },
  {
    name: 'discourse-undefined-service',
    planted: 'a second compose file has settings for a service that is defined nowhere',
    matters: 'discourse had a sidekiq without an image in its compose.smtpauth.yml',
    releases: [
      {
        files: {
          'compose.smtpauth.yml': "version: '3.8'\nservices: {sidekiq: {environment: [SMTP_AUTH=login]}}\n",
        },
        env: ['COMPOSE_FILE=compose.yml:compose.smtpauth.yml'],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'has no image in any of the compose files' },
  },
  {
    name: 'discourse-waits-for-nobody',
    planted: 'depends_on names a service that there is not',
    matters:
      'sidekiq of discourse 0.8.1 waited for a discourse that is called app; a swarm does not look at it',
    releases: [{ compose: { services: { app: { depends_on: ['discourse'] } } } }],
    expected: { outcome: 'PASS', tiers: { install: 'pass' }, lint: ['dependency-undefined'] },
  },
  {
    name: 'discourse-hangs',
    planted: 'it starts for 50 minutes, and gives itself no time of its own',
    matters: 'a sweep waits for as long as limits.deploy says, and goes on',
    releases: [
      {
        compose: app('sleep 3000; exec serve', {
          healthcheck: null,
          deploy: {
            labels: [
              'traefik.enable=true',
              'traefik.http.routers.${STACK_NAME}.rule=Host(`${DOMAIN}`)',
              'traefik.http.services.${STACK_NAME}.loadbalancer.server.port=8080',
              'coop-cloud.${STACK_NAME}.version={{version}}',
            ],
          },
        }),
      },
    ],
    expected: { outcome: 'FAIL', tier: 'install', says: 'app' },
  },
  {
    name: 'mattermost-restores-nothing',
    planted: 'a dump is made, archived with the folder of the running server, and removed; no hook loads it',
    matters:
      'mattermost-lts up to 2.1.9: over the running server the files are put back, and are written over',
    releases: [
      {
        compose: app(IN_MEMORY, { stop_grace_period: '5s' }),
        labels: [
          'backupbot.backup=true',
          'backupbot.backup.path=/data',
          'backupbot.backup.pre-hook=cp /data/table /data/postgres-backup.sql',
          'backupbot.backup.post-hook=rm /data/postgres-backup.sql',
        ],
      },
    ],
    folder: {
      hooks: {
        'write-data': `in-service app sh -c 'echo row > /tmp/table; cp /tmp/table /data/table'`,
        'check-data': 'in-service app grep -qx row /tmp/table',
      },
    },
    expected: {
      outcome: 'FAIL',
      tier: 'restore',
      says: 'check-data',
      tiers: { install: 'pass', backup: 'pass' },
    },
  },
  {
    name: 'plausible-base',
    planted: '3.0.0 does not install, 3.0.1 does, and 3.1.0 is published',
    matters:
      "3.0.0's entrypoint is a 404, which is no fault of 3.1.0: what it upgrades is the canonical, 3.0.1",
    releases: [
      { version: '3.0.0+v2.0.0', compose: app('echo 404 >&2; exit 1'), unswept: true },
      { version: '3.0.1+v2.0.0', compose: app('[ -e /data/made ] || echo 3.0.1 > /data/made; exec serve') },
      { version: '3.1.0+v2.0.0', compose: app('[ -e /data/made ] || echo 3.1.0 > /data/made; exec serve') },
    ],
    folder: {
      hooks: {
        'write-data': 'in-service app cp /data/made /data/made-by',
        'check-data': 'in-service app grep -qx 3.0.1 /data/made-by',
      },
    },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass' } },
  },
  {
    name: 'asks-app-on-proxy',
    planted:
      "its front asks for app, and its networks' names come before proxy at a cold domain, and after it at a warm one",
    matters: "bluesky-pds was green and then not promoted: its Caddy had a neighbour's app",
    releases: [{ compose: behindFront('http://app:8080/') }],
    folder: { settings: OWN_PAGE },
    expected: {
      outcome: 'GREEN-BUT-PROMOTE-FAILED',
      says: 'a page of its own',
      lint: ['shared-name'],
    },
  },
  {
    name: 'red-for-app-on-proxy',
    planted: "its front asks for app, and its networks' names come after proxy anywhere",
    matters: 'a release must not be green with the page of a neighbour',
    releases: [{ compose: behindFront('http://app:8080/') }],
    folder: { settings: OWN_PAGE },
    expected: { outcome: 'FAIL', tier: 'install', says: 'a page of its own' },
  },
  {
    name: 'asks-by-its-stack-name',
    planted: 'nothing; its front asks for ${STACK_NAME}_app',
    matters: 'that is how it is done',
    releases: [{ compose: behindFront('http://${STACK_NAME}_app:8080/') }],
    folder: { settings: OWN_PAGE },
    expected: { outcome: 'PASS', tiers: { install: 'pass' } },
  },
];
