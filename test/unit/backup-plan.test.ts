import { describe, expect, it, test } from 'vitest';
import { planBackup, type BackupPlan, type LabelledService } from '../../domain/backup-plan.ts';

const STACK = 'hedg-1a2b3c_example_org';
const data = `${STACK}_data`;
const uploads = `${STACK}_uploads`;

function service(
  name: string,
  labels: Record<string, string>,
  volumes: readonly string[] = [],
): LabelledService {
  const mounts = volumes.map((volume) => ({ volume, target: `/srv/${volume.slice(STACK.length + 1)}` }));
  return { name, labels, mounts };
}

function asked(services: readonly LabelledService[], names: readonly string[] = [data, uploads]) {
  return planBackup(
    STACK,
    services,
    names.map((name) => ({ name })),
  );
}

function planned(services: readonly LabelledService[], names?: readonly string[]): BackupPlan {
  const answer = asked(services, names);
  if (answer.is !== 'planned') throw new Error(answer.reason);
  return answer.plan;
}

const ON = { 'backupbot.backup': 'true' };

describe('whether a backup is asked for', () => {
  it.each(['true', 'True', ' TRUE ', '1', 'yes', 'on', '"true"', "'true'"])('%s is yes', (value) => {
    expect(asked([service('app', { 'backupbot.backup': value })]).is).toBe('planned');
  });

  it.each(['false', 'False', '0', 'no', 'off', '', '""'])('%s is no', (value) => {
    expect(asked([service('app', { 'backupbot.backup': value })])).toEqual({
      is: 'not asked',
      reason: 'none of its services has the label backupbot.backup=true',
    });
  });

  test('without the label it is not', () => {
    expect(asked([service('app', { 'backupbot.backup.pre-hook': 'dump' })]).is).toBe('not asked');
  });

  test('one service is enough', () => {
    expect(asked([service('app', {}), service('db', ON)]).is).toBe('planned');
  });

  test('without volumes there is nothing to ask for', () => {
    expect(asked([service('app', ON)], [])).toEqual({ is: 'not asked', reason: 'it keeps no data' });
    expect(planBackup(STACK, [service('app', ON)], [{ name: data, elsewhere: true }]).is).toBe('not asked');
  });

  test('a word that is neither is wrong', () => {
    expect(asked([service('app', { 'backupbot.backup': '$ENABLE_BACKUPS' })])).toEqual({
      is: 'wrong',
      reason: 'label backupbot.backup of service app: neither true nor false: $ENABLE_BACKUPS',
    });
  });
});

describe('what of the volumes', () => {
  test('all of each, where no label says else', () => {
    expect(planned([service('app', ON, [data])]).volumes).toEqual([
      { name: data, paths: null },
      { name: uploads, paths: null },
    ]);
  });

  test('not those that a label leaves out', () => {
    const plan = planned([
      service('app', { ...ON, 'backupbot.backup.volumes.uploads': 'False' }),
      service('db', { 'backupbot.backup.volumes.data': 'true' }),
    ]);
    expect(plan.volumes.map(({ name }) => name)).toEqual([data]);
    expect(plan.leftOut).toEqual([{ name: uploads, why: 'its label says so' }]);
  });

  test('not those that are kept elsewhere', () => {
    const answer = planBackup(
      STACK,
      [service('app', ON)],
      [{ name: data }, { name: 'tmp', elsewhere: true }],
    );
    expect(answer).toMatchObject({
      plan: {
        volumes: [{ name: data }],
        leftOut: [{ name: 'tmp', why: 'its driver options keep it elsewhere' }],
      },
    });
  });

  test('only the paths that labels name, from all services together', () => {
    const plan = planned([
      service('app', { ...ON, 'backupbot.backup.volumes.data.path': 'b.sql, ./dumps//today/,' }),
      service('db', { 'backupbot.backup.volumes.data.path': '"a -x.sql"' }),
    ]);
    expect(plan.volumes[0]?.paths).toEqual(['a -x.sql', 'b.sql', 'dumps/today']);
    expect(plan.volumes[1]?.paths).toBeNull();
  });

  test('all of one whose path is its root', () => {
    const plan = planned([service('app', { ...ON, 'backupbot.backup.volumes.data.path': 'a,./' })]);
    expect(plan.volumes[0]?.paths).toBeNull();
  });

  test('one with a name of its own is known by that', () => {
    const plan = planned(
      [service('app', { ...ON, 'backupbot.backup.volumes.other_name': 'false' })],
      [data, 'other_name'],
    );
    expect(plan.volumes.map(({ name }) => name)).toEqual([data]);
  });

  it.each([
    ['/etc/shadow', "/etc/shadow is not relative to the volume's root"],
    ['a,../../etc', '../../etc leads out of the volume'],
    ['a/../../b', 'a/../../b leads out of the volume'],
    [' , ', 'it names no path'],
    ['a\nb', 'it holds a control character'],
  ])('never the path %j', (value, what) => {
    expect(asked([service('app', { ...ON, 'backupbot.backup.volumes.data.path': value })])).toEqual({
      is: 'wrong',
      reason: `label backupbot.backup.volumes.data.path of service app: ${what}`,
    });
  });

  test('a path of a volume that is not there is wrong, leaving out such a one is not', () => {
    expect(asked([service('app', { ...ON, 'backupbot.backup.volumes.pg.path': 'a' })])).toMatchObject({
      is: 'wrong',
      reason: expect.stringContaining('the stack has no volume pg'),
    });
    expect(planned([service('app', { ...ON, 'backupbot.backup.volumes.pg': 'false' })]).ignored).toEqual([
      'backupbot.backup.volumes.pg of service app: no such volume',
    ]);
  });
});

describe('hooks', () => {
  const hooks = {
    'backupbot.backup.pre-hook': '/pg_backup.sh backup',
    'backupbot.backup.post-hook': 'rm -f /data/dump',
    'backupbot.restore.pre-hook': ' ',
    'backupbot.restore.post-hook': '/pg_backup.sh restore',
  };

  test('are of the service that carries them, in the order of names', () => {
    const { hooks: found } = planned([
      service('db', hooks),
      service('app', { ...ON, 'backupbot.backup.pre-hook': 'occ maintenance:mode --on' }),
    ]);
    expect(found).toEqual({
      beforeBackup: [
        { hook: 'backup pre-hook', service: 'app', command: 'occ maintenance:mode --on' },
        { hook: 'backup pre-hook', service: 'db', command: '/pg_backup.sh backup' },
      ],
      afterBackup: [{ hook: 'backup post-hook', service: 'db', command: 'rm -f /data/dump' }],
      beforeRestore: [],
      afterRestore: [{ hook: 'restore post-hook', service: 'db', command: '/pg_backup.sh restore' }],
    });
  });

  test('of a service that wants no backup are not run', () => {
    const { hooks: found } = planned([
      service('app', ON),
      service('db', { ...hooks, 'backupbot.backup': 'no' }),
    ]);
    expect(Object.values(found).flat()).toEqual([]);
  });
});

describe('paths in a container, as the first backup-bot had them', () => {
  const PATH = 'backupbot.backup.path';
  const plan = (paths: string, labels: Record<string, string> = {}, volumes = [data, uploads]): BackupPlan =>
    planned([service('app', { ...ON, [PATH]: paths, ...labels }, volumes)]);

  it.each([
    ['/srv/data', null],
    ['/srv/data/', null],
    ['/srv//data/dumps/all.sql', ['dumps/all.sql']],
    ["'/srv/data/a, /srv/data/b/'", ['a', 'b']],
  ])('%s leads through the mounts of its service', (written, paths) => {
    const found = plan(written);
    expect(found.volumes).toEqual([{ name: data, paths }]);
    expect(found.leftOut).toEqual([{ name: uploads, why: `no ${PATH} leads to it` }]);
    expect(found.ignored).toEqual([]);
  });

  test('a folder above mounts is all of them', () => {
    expect(plan('/srv').volumes.map(({ name, paths }) => [name, paths])).toEqual([
      [data, null],
      [uploads, null],
    ]);
  });

  it.each(['/postgres.dump.gz', '/srv/database', '/srv/data/../../etc', 'data'])(
    '%s lies on no volume, is never archived, and is named',
    (written) => {
      const found = plan(`${written},/srv/data`);
      expect(found.volumes).toEqual([{ name: data, paths: null }]);
      expect(found.ignored).toEqual([`${PATH} of service app: ${written} lies on no volume`]);
    },
  );

  test('make each service answer for its own volumes', () => {
    const cache = `${STACK}_cache`;
    const found = planBackup(
      STACK,
      [
        service('admin', { ...ON, [PATH]: '/srv/data' }, [data]),
        service('imap', ON, [uploads]),
        service('redis', {}, [cache]),
      ],
      [data, uploads, cache].map((name) => ({ name })),
    );
    expect(found).toMatchObject({
      plan: {
        volumes: [{ name: data }, { name: uploads }],
        leftOut: [{ name: cache }],
      },
    });
  });

  test('count where the switch stands on another service', () => {
    const found = planned([service('app', { [PATH]: '/srv/data' }, [data]), service('web', ON, [uploads])]);
    expect(found.volumes.map(({ name }) => name)).toEqual([data, uploads]);
  });

  test('volumes that a label names are among them', () => {
    const named = { 'backupbot.volumes.uploads': 'true' };
    expect(plan('/srv/data', named).volumes.map(({ name }) => name)).toEqual([data, uploads]);
  });

  test('the old name of the label about a volume means the same', () => {
    const labels = { ...ON, 'backupbot.volumes.uploads': 'false', 'backupbot.volumes.data.path': 'dump' };
    const found = planned([service('app', labels)]);
    expect(found.volumes).toEqual([{ name: data, paths: ['dump'] }]);
    expect(found.leftOut).toEqual([{ name: uploads, why: 'its label says so' }]);
  });
});

test('labels of another specification are named', () => {
  const { ignored } = planned([
    service('app', { ...ON, 'backupbot.backup.cron': '/data', 'traefik.x': '1' }),
  ]);
  expect(ignored).toEqual(['backupbot.backup.cron of service app: not in the specification']);
});
