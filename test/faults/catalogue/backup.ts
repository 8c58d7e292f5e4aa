import { app, ROW, script, type Entry, type Tree } from '../entry.ts';

/** What is wrong, or only odd, in how a recipe is backed up and restored. */

const ASKED = 'backupbot.backup=true';

/** A dump of the volume, and what loads it again. */
const DUMP = [
  ASKED,
  'backupbot.backup.volumes.data.path=dump.sql',
  'backupbot.backup.pre-hook=cp /data/row /data/dump.sql',
  'backupbot.backup.post-hook=rm /data/dump.sql',
];
const LOAD = 'backupbot.restore.post-hook=cp /data/dump.sql /data/row';

/** A server that keeps its rows in memory, reads its file when it starts, and writes it when it ends. */
export const IN_MEMORY = [
  'cp /data/table /tmp/table 2> /dev/null || touch /tmp/table',
  'trap "cp /tmp/table /data/table; exit 0" TERM',
  'serve & while true; do sleep 1 & wait $!; done',
].join('\n');

/** One that refuses to start where another one has left its lock. */
const LOCKED = [
  'if [ -e /data/lock ]; then echo another one runs >&2; exit 1; fi',
  'cat /etc/hostname > /data/lock',
  `trap 'grep -qxF "$(cat /etc/hostname)" /data/lock && rm /data/lock; exit 0' TERM`,
  'serve & while true; do sleep 1 & wait $!; done',
].join('\n');

/** One that ends when it is asked to. */
const ENDABLE = 'trap "exit 1" TERM; serve & while true; do sleep 1 & wait $!; done';

/** A second service, which the hooks of these labels run in. */
function helper(labels: readonly string[]): Tree {
  return {
    services: {
      helper: {
        image: '{{image}}',
        command: ['serve'],
        volumes: ['data:/data'],
        stop_grace_period: '1s',
        deploy: { restart_policy: { delay: '1s' }, update_config: { monitor: '1s' }, labels },
      },
    },
  };
}

/** Two volumes, of which the app's rows are in the first. */
const TWO_VOLUMES: Tree = {
  services: { app: { volumes: ['data:/data', 'cache:/cache'], ...script('touch /cache/page; exec serve') } },
  volumes: { cache: {} },
};

export const BACKUP: readonly Entry[] = [
  {
    name: 'backup-plain',
    planted: 'nothing; its volume is backed up whole',
    matters: 'a restore that works must be seen to work',
    releases: [{ labels: [ASKED] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'dump-and-load',
    planted: 'nothing; a hook dumps, the dump alone is archived, and a hook loads it',
    matters: 'this is how a database is backed up well',
    releases: [{ labels: [...DUMP, LOAD] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'dump-never-loaded',
    planted: 'a hook dumps, the dump is archived, and nothing loads it',
    matters: 'ghost, immich and mattermost-lts were like this: the backup is there, and the data is not',
    releases: [{ labels: DUMP }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'check-data' },
  },
  {
    name: 'dump-is-empty',
    planted: 'the hook that dumps leaves an empty file and says that all is well',
    matters: 'found out by a restore, a year later',
    releases: [{ labels: [...DUMP.slice(0, 2), 'backupbot.backup.pre-hook=false > /data/dump.sql || true'] }],
    expected: { outcome: 'FAIL', tier: 'backup', says: 'dump.sql' },
  },
  {
    name: 'dump-is-cut',
    planted: 'the hook that dumps leaves half of a compressed file and says that all is well',
    matters: 'a database that is restarted while it is dumped leaves this',
    releases: [
      {
        labels: [
          ASKED,
          'backupbot.backup.volumes.data.path=dump.gz',
          'backupbot.backup.pre-hook=cat /bin/busybox | gzip | head -c 9000 > /data/dump.gz',
        ],
      },
    ],
    expected: { outcome: 'FAIL', tier: 'backup', says: 'dump.gz' },
  },
  {
    name: 'dump-hook-fails',
    planted: 'the hook that dumps fails',
    matters: 'backup-bot goes on, and archives what is there',
    releases: [{ labels: [ASKED, 'backupbot.backup.pre-hook=echo no database >&2; exit 4'] }],
    expected: { outcome: 'FAIL', tier: 'backup', says: 'exit status 4: no database' },
  },
  {
    name: 'dump-hook-hangs',
    planted: 'the hook that dumps never ends',
    matters: 'it waits for a password, and would for ever',
    releases: [{ labels: [ASKED, 'backupbot.backup.pre-hook=sleep 1000'] }],
    folder: { settings: { timeouts: { hook: '5s' } } },
    expected: { outcome: 'FAIL', tier: 'backup', says: 'not finished after 5s' },
  },
  {
    name: 'container-goes-under-its-hook',
    planted: 'the app is restarted once while its hook dumps',
    matters: 'the hook is tried again when the app is back; a crash in that moment is no fault of the labels',
    releases: [
      {
        compose: app('trap "exit 1" TERM; serve & while true; do sleep 1 & wait $!; done'),
        labels: [
          ASKED,
          'backupbot.backup.pre-hook=[ -e /data/once ] || { touch /data/once; kill 1; sleep 20; }',
        ],
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'clean-up-hook-fails',
    planted: 'the hook after the backup fails',
    matters: 'dumps pile up on the volume',
    releases: [{ labels: [ASKED, 'backupbot.backup.post-hook=rm /data/no-such-dump'] }],
    expected: { outcome: 'FAIL', tier: 'backup', says: 'backup post-hook' },
  },
  {
    name: 'load-hook-fails',
    planted: 'the hook that loads the dump fails',
    matters: 'pg_restore --clean without --if-exists did, in plausible',
    releases: [{ labels: [...DUMP, 'backupbot.restore.post-hook=echo already exists >&2; exit 1'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'already exists' },
  },
  {
    name: 'nothing-to-archive',
    planted: 'its volume stays empty, and is to be backed up',
    matters: 'an archive without a file is green in the tool and of no use',
    releases: [{ labels: [ASKED] }],
    expected: { outcome: 'FAIL', tier: 'backup', says: 'not one file' },
  },
  {
    name: 'path-not-there',
    planted: 'the labels name a path of the volume that is not there',
    matters: 'the dump was called otherwise in the release before',
    releases: [{ labels: [ASKED, 'backupbot.backup.volumes.data.path=dump.sql'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'backup', says: 'partial' },
  },
  {
    name: 'data-left-out',
    planted: 'the labels leave out the volume with the data',
    matters: 'what is archived is complete, and what matters is not in it',
    releases: [{ compose: TWO_VOLUMES, labels: [ASKED, 'backupbot.backup.volumes.data=false'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'check-data' },
  },
  {
    name: 'cache-left-out',
    planted: 'the labels leave out a cache',
    matters: 'what is left out on purpose need not be restored',
    releases: [{ compose: TWO_VOLUMES, labels: [ASKED, 'backupbot.backup.volumes.cache=false'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'old-label-leaves-out',
    planted: 'the labels leave out a volume with the data, as the first backup-bot had it said',
    matters: 'archiving more than the real tool would proves nothing',
    releases: [{ compose: TWO_VOLUMES, labels: [ASKED, 'backupbot.volumes.data=false'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'check-data' },
  },
  {
    name: 'old-label-path',
    planted: 'backupbot.backup.path names a path in the container, as the first backup-bot had it',
    matters: 'custom-html, discourse, n8n, plausible and mailu have it',
    releases: [{ labels: [ASKED, 'backupbot.backup.path=/data/row'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'dump-on-no-volume',
    planted: 'the dump is written to, and named at, a path that is on no volume',
    matters: 'plausible 3.0.1: it is never in the archive, and the hook that loads it does not find it',
    releases: [
      {
        compose: app('touch /data/settings; exec serve'),
        labels: [
          ASKED,
          'backupbot.backup.path=/data/settings,/tmp/dump.sql',
          'backupbot.backup.pre-hook=cp /data/row /tmp/dump.sql',
          'backupbot.restore.post-hook=cp /tmp/dump.sql /data/row',
        ],
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'dump.sql' },
  },
  {
    name: 'extra-path-on-no-volume',
    planted: 'a path on no volume is named beside the data, and nothing needs it',
    matters: 'the restore is whole, and the label promises what it does not do: a lint problem',
    releases: [{ labels: [ASKED, 'backupbot.backup.path=/data,/etc/settings'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { restore: 'pass' }, lint: ['backup-path-off-volume'] },
  },
  {
    name: 'backup-asked-twice',
    planted: 'backupbot.backup=true stands on two services',
    matters: 'the specification knows one switch for all, and wants an error said',
    releases: [
      {
        compose: {
          services: {
            cache: {
              image: '{{image}}',
              ...script('exec sleep 100000'),
              stop_grace_period: '1s',
              deploy: { labels: [ASKED], restart_policy: { delay: '1s' }, update_config: { monitor: '1s' } },
            },
          },
        },
        labels: [ASKED],
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { restore: 'pass' }, lint: ['backup-twice'] },
  },
  {
    name: 'check-data-sees-nothing',
    planted: 'the operator’s check-data passes on an app without its data',
    matters: 'a restore that such a check finds good is proven by nothing',
    releases: [{ labels: [ASKED] }],
    folder: { hooks: { ...ROW, 'check-data': 'in-service app test -d /data' } },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'although it was destroyed' },
  },
  {
    name: 'dump-without-check-data',
    planted: 'a dump is archived, and nobody wrote a check-data',
    matters: 'nothing tells whether the data is back, and a level must not say more than was seen',
    releases: [
      {
        labels: [
          ASKED,
          'backupbot.backup.volumes.data.path=dump',
          'backupbot.backup.pre-hook=date > /data/dump',
        ],
      },
    ],
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'skipped' } },
  },
  {
    name: 'there-after-a-restart',
    planted: 'it reads its data when it starts, and no hook has it read again after a restore',
    matters: 'an operator would restart it; it is good, and a hook would make it better',
    releases: [{ compose: app('cp /data/row /tmp/row 2> /dev/null || true; exec serve'), labels: [ASKED] }],
    folder: {
      hooks: {
        'write-data': `in-service app sh -c 'echo row > /data/row; cp /data/row /tmp/row'`,
        'check-data': 'in-service app grep -qx row /tmp/row',
      },
    },
    expected: {
      outcome: 'PASS',
      tiers: { restore: 'pass' },
      says: 'only after its services were restarted',
      lint: ['restore-needs-restart'],
    },
  },
  {
    name: 'hot-folder',
    planted: 'a server with its rows in memory, whose folder is archived while it runs',
    matters: 'postgres without hooks: over the running server the files are put back, and are written over',
    releases: [{ compose: app(IN_MEMORY, { stop_grace_period: '5s' }), labels: [ASKED] }],
    folder: {
      hooks: {
        'write-data': `in-service app sh -c 'echo row > /tmp/table; cp /tmp/table /data/table'`,
        'check-data': 'in-service app grep -qx row /tmp/table',
      },
    },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'check-data' },
  },
  {
    name: 'lock-in-the-archive',
    planted: 'the archive holds the lock of the server that ran, and the server refuses to start beside one',
    matters: 'the data is there until somebody restarts it',
    releases: [{ compose: app(LOCKED, { stop_grace_period: '5s' }), labels: [ASKED], timeout: 12 }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'only until it was restarted' },
  },
  {
    name: 'read-only-after-restore',
    planted: 'after a restore the data is there, and it takes no more',
    matters: 'an app can answer and take no writes',
    releases: [{ labels: [ASKED, 'backupbot.restore.post-hook=touch /data/frozen'] }],
    folder: {
      hooks: {
        'write-data': `in-service app sh -c 'if [ -e /data/frozen ]; then echo frozen; exit 1; fi; echo row > /data/row'`,
        'check-data': ROW['check-data'],
      },
    },
    expected: { outcome: 'FAIL', tier: 'restore', says: 'on the restored data' },
  },
  {
    name: 'backup-hook-ends-its-container',
    planted: 'a pre-hook stops the server that it dumps of, each time',
    matters: 'the dump is half of one, whatever the hook says',
    releases: [{ compose: app(ENDABLE), labels: [ASKED, 'backupbot.backup.pre-hook=kill 1'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'backup', says: '3 times the container of app went' },
  },
  {
    name: 'restore-hook-ends-its-container',
    planted: 'a hook of the restore stops the server before it is done, each time',
    matters: 'no fault of the host, though the engine says that the container is gone',
    releases: [
      { compose: app(ENDABLE), labels: [ASKED, 'backupbot.restore.post-hook=kill 1; sleep 20; echo done'] },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'restore', says: '3 times the container of app went' },
  },
  {
    name: 'restore-hook-restarts-its-app',
    planted: 'nothing; the last thing that a hook does is to end its server, which the swarm starts again',
    matters: 'an app that reads its files when it starts has to be told so',
    releases: [{ compose: app(ENDABLE), labels: [ASKED, 'backupbot.restore.post-hook=(sleep 1; kill 1) &'] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'hooks-of-a-service-that-went',
    planted:
      'the first release has a service with hooks; the second has it no more, and its hooks would fail',
    matters: 'it still runs where the release is upgraded, and is on no new host',
    releases: [
      { compose: helper([ASKED, 'backupbot.restore.pre-hook=test ! -e /data/later']), labels: [ASKED] },
      { labels: [ASKED], compose: app('touch /data/later; exec serve') },
    ],
    folder: { hooks: ROW },
    expected: {
      outcome: 'PASS',
      tiers: { backup: 'pass', restore: 'pass' },
      says: 'helper, which it no longer has',
    },
  },
  {
    name: 'backed-up-by-a-service-that-went',
    planted: 'the label that asks for a backup went with a service that the second release has no more',
    matters: 'installed anew, the release is backed up by nobody',
    releases: [{ compose: helper([ASKED]) }, {}],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { backup: 'skipped', restore: 'skipped' } },
  },
  {
    name: 'labels-come-later',
    planted: 'nothing; the first release has no label for a backup, and the second one has',
    matters: 'mumble has them since 1.0.0: the release that is tested counts, not the one before it',
    releases: [{}, { labels: [ASKED] }],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass', backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'hook-from-a-config',
    planted: 'nothing; the hook that dumps is a script in a config that came with the second release',
    matters: 'a hook that runs in a container of the release before does not find it, as in mattermost-lts',
    releases: [
      {},
      {
        compose: {
          services: { app: { configs: [{ source: 'dump', target: '/dump.sh' }] } },
          configs: { dump: { name: '${STACK_NAME}_dump_${DUMP_VERSION}', file: 'dump.sh' } },
        },
        files: { 'dump.sh': 'cp /data/row /data/dump.sql\n', 'abra.sh': 'export DUMP_VERSION=v1\n' },
        labels: [...DUMP.slice(0, 2), 'backupbot.backup.pre-hook=sh /dump.sh', LOAD],
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'PASS', tiers: { upgrade: 'pass', backup: 'pass', restore: 'pass' } },
  },
  {
    name: 'stranded-by-its-restore',
    planted: 'its server leaves with 0 when a restore is done, and is started again on failure alone',
    matters: 'plausible lost its database for a moment, and was down until somebody started it',
    releases: [
      {
        compose: app('trap "exit 0" TERM; serve & while true; do sleep 1 & wait $!; done', {
          deploy: { restart_policy: { condition: 'on-failure' } },
        }),
        labels: [ASKED, 'backupbot.restore.post-hook=(sleep 1; kill 1) &'],
        timeout: 12,
      },
    ],
    folder: { hooks: ROW },
    expected: {
      outcome: 'PASS',
      tiers: { restore: 'pass' },
      says: 'only after its services were restarted',
      lint: ['restore-needs-restart'],
    },
  },
  {
    name: 'hook-in-a-job',
    planted: 'the hook that dumps is a label of a service that has run and is done',
    matters: 'no container is there that it could run in',
    releases: [
      {
        labels: [ASKED],
        compose: {
          services: {
            migrate: {
              image: '{{image}}',
              ...script('exit 0'),
              deploy: {
                restart_policy: { condition: 'none' },
                labels: ['backupbot.backup.pre-hook=touch /data/dump.sql'],
              },
            },
          },
        },
      },
    ],
    folder: { hooks: ROW },
    expected: { outcome: 'FAIL', tier: 'backup', says: 'no container of it runs' },
  },
];
