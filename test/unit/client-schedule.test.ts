import { ScheduleOverlapPolicy } from '@temporalio/client';
import { describe, expect, test } from 'vitest';
import { devServerArgs, devServerSettings } from '../../client/dev.ts';
import { reconcileScheduleOptions, scheduleOptions } from '../../client/schedule.ts';

describe('the weekly schedule', () => {
  const options = scheduleOptions({
    host: 'ci-1',
    schedule: { day: 'sunday', time: '03:05', timezone: 'Europe/Berlin', catchup: 172_800_000 },
  });

  test('fires at the configured time of the week', () => {
    expect(options.spec.calendars).toMatchObject([{ dayOfWeek: 'SUNDAY', hour: 3, minute: 5 }]);
    expect(options.spec.timezone).toBe('Europe/Berlin');
  });

  test('skips an overlap and catches up what was missed', () => {
    expect(options.policies).toEqual({ overlap: ScheduleOverlapPolicy.SKIP, catchupWindow: 172_800_000 });
  });

  test('starts what an operator would: all enrolled recipes, on our task queue', () => {
    expect(options.action).toMatchObject({
      workflowType: 'sweepWorkflow',
      workflowId: 'sweep-ci-1',
      taskQueue: 'recipe-sweep-ci-1',
      args: [{}],
    });
  });

  test('keeps its summary within what Temporal takes', () => {
    const { action } = scheduleOptions({
      host: 'h'.repeat(63),
      schedule: { day: 'monday', time: '00:00', timezone: 'UTC', catchup: 1 },
    });
    expect(Buffer.byteLength(action.staticSummary ?? '')).toBeLessThanOrEqual(200);
  });
});

describe('the schedule of reconciles', () => {
  const schedule = { day: 'sunday', time: '03:00', timezone: 'Europe/Berlin', catchup: 1 } as const;
  const on = (day: 'daily' | 'friday') =>
    reconcileScheduleOptions({ host: 'ci-1', schedule, reconcile: { day, time: '01:30' } });

  test('fires each day, or once a week, in the time zone of the sweep', () => {
    expect(on('daily').spec).toEqual({
      calendars: [{ hour: 1, minute: 30, comment: 'the reconcile of live services' }],
      timezone: 'Europe/Berlin',
    });
    expect(on('friday').spec.calendars).toMatchObject([{ dayOfWeek: 'FRIDAY', hour: 1 }]);
  });

  test('starts what an operator would: every live service', () => {
    expect(on('daily')).toMatchObject({
      scheduleId: 'recipe-sweep-reconcile-ci-1',
      action: { workflowType: 'reconcileWorkflow', workflowId: 'reconcile-ci-1', args: [{}] },
      policies: { overlap: ScheduleOverlapPolicy.SKIP },
    });
  });
});

describe('the development server', () => {
  const temporal = { address: '127.0.0.1:7233', ui: 'http://localhost:8233', namespace: 'default' };

  test('listens where the configuration says that it is', () => {
    expect(devServerSettings({ temporal, state: '/state' }, '/bin/temporal')).toMatchObject({
      port: 7233,
      uiPort: 8233,
      dbFile: '/state/dev/temporal.db',
    });
  });

  test('is not started for a server on another machine', () => {
    const elsewhere = { ...temporal, address: 'temporal.example.org:7233' };
    expect(() => devServerSettings({ temporal: elsewhere, state: '/state' }, '/bin/temporal')).toThrow(
      'temporal.address is temporal.example.org:7233',
    );
  });

  test('gets its whole command line as arguments', () => {
    const ATTRIBUTES = [
      { name: 'Recipe', type: 'Keyword' },
      { name: 'ServiceOutcome', type: 'KeywordList' },
    ] as const;
    const settings = { dbFile: '/db', port: 1, uiPort: 2, namespace: 'sweeps', searchAttributes: ATTRIBUTES };
    expect(devServerArgs(settings)).toEqual([
      ...['server', 'start-dev', '--ip', '127.0.0.1', '--port', '1', '--ui-port', '2'],
      ...['--db-filename', '/db', '--namespace', 'sweeps', '--log-level', 'warn', '--log-format', 'json'],
      ...['--disable-config-env', '--disable-config-file'],
      ...['--dynamic-config-value', 'history.transferProcessorMaxPollRPS=2000'],
      ...['--dynamic-config-value', 'system.enableActivityEagerExecution=true'],
      ...['--sqlite-pragma', 'journal_mode=wal'],
      ...['--search-attribute', 'Recipe=Keyword'],
      ...['--search-attribute', 'ServiceOutcome=KeywordList'],
    ]);
  });
});
