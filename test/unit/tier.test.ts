import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostAttempt } from '../../activities/attempt.ts';
import type { Activities } from '../../activities/index.ts';
import type { World } from '../../activities/world.ts';
import { askTier, checkData, writeData, type TierAnswer } from '../../activities/tier.ts';
import { Fault } from '../../domain/fault.ts';
import type { Hook } from '../../domain/recipe-settings.ts';
import type { ScriptResult } from '../../host/scripts/app-scripts.ts';
import type { App } from '../../domain/app.ts';
import { createMachine, type Machine, runOfSweep } from './fake-machine.ts';

/** What stands around each tier, and the tier custom. */

const PASS: TierAnswer = { result: 'pass' };
const failed = (reason: string): TierAnswer & { result: 'fail' } => ({
  result: 'fail',
  reason,
  evidence: '/evidence/file',
});

interface Situation {
  hooks?: Partial<Record<Hook, ScriptResult>>;
  keepEvidence?: () => Promise<void>;
}

/** Asks the tier upgrade; tells what was done, in order. */
async function ask(situation: Situation, body: () => Promise<TierAnswer>) {
  const done: string[] = [];
  const attempt = {
    scripts: {
      async hook(_app: App, name: Hook, options: { environment: { TIER: string } }) {
        const found = situation.hooks?.[name] ?? null;
        if (found) done.push(`${name} TIER=${options.environment.TIER}`);
        return found;
      },
    },
    evidence: {
      async keepEvidence() {
        done.push('evidence');
        await situation.keepEvidence?.();
      },
    },
  } as unknown as HostAttempt;
  const world = { now: () => new Date() } as World;
  const answer = await askTier(
    world,
    attempt,
    { dependencies: [] } as unknown as App,
    'upgrade',
    async () => {
      done.push('asked');
      return body();
    },
  ).catch((error: unknown) => error);
  return { answer, done, attempt };
}

describe('a tier', () => {
  const both = { 'before-upgrade': { result: 'pass' }, 'after-upgrade': { result: 'pass' } } as const;

  it('is asked between its hooks, and evidence is kept', async () => {
    expect(await ask({ hooks: both }, async () => PASS)).toMatchObject({
      answer: PASS,
      done: ['before-upgrade TIER=upgrade', 'asked', 'after-upgrade TIER=upgrade', 'evidence'],
    });
  });

  it('is not asked when the hook before it fails', async () => {
    const hooks = { ...both, 'before-upgrade': failed('hook before-upgrade: exit status 1') };
    expect(await ask({ hooks }, async () => PASS)).toMatchObject({
      answer: hooks['before-upgrade'],
      done: ['before-upgrade TIER=upgrade', 'evidence'],
    });
  });

  it('that fails is not followed by a hook', async () => {
    expect(await ask({ hooks: both }, async () => failed('no'))).toMatchObject({
      answer: failed('no'),
      done: ['before-upgrade TIER=upgrade', 'asked', 'evidence'],
    });
  });

  it('fails when the hook after it does', async () => {
    const hooks = { 'after-upgrade': failed('hook after-upgrade: exit status 1') };
    const { answer } = await ask({ hooks }, async () => PASS);
    expect(answer).toEqual(hooks['after-upgrade']);
  });

  it('that was skipped is followed by its hook', async () => {
    const skipped: TierAnswer = { result: 'skipped', reason: 'no labels' };
    const { answer, done } = await ask({ hooks: both }, async () => skipped);
    expect(answer).toEqual(skipped);
    expect(done).toContain('after-upgrade TIER=upgrade');
  });

  it('that broke says why, even if the evidence cannot be read either', async () => {
    const broken = new Fault('Registry', 'no answer');
    const keepEvidence = (): Promise<void> => Promise.reject(new Fault('Daemon', 'no engine'));
    const { answer, done } = await ask({ keepEvidence }, () => Promise.reject(broken));
    expect(answer).toBe(broken);
    expect(done).toEqual(['asked', 'evidence']);
  });
});

describe('data', () => {
  it('is written, and found or not', async () => {
    const { attempt } = await ask(
      { hooks: { 'write-data': failed('no room'), 'check-data': { result: 'pass' } } },
      async () => PASS,
    );
    expect(await writeData(attempt, {} as App, 'install')).toEqual(failed('no room'));
    expect(await checkData(attempt, {} as App, 'restore')).toEqual(PASS);
  });

  it('is not asked for in a recipe without the hooks', async () => {
    const { attempt } = await ask({}, async () => PASS);
    expect(await writeData(attempt, {} as App, 'install')).toBeNull();
    expect(await checkData(attempt, {} as App, 'restore')).toBeNull();
  });
});

describe('the tier custom', () => {
  const COMMIT = '0'.repeat(40);
  const RUN = runOfSweep('ghost');
  const deploy = { version: '1.0.0+1', commit: COMMIT };
  const asked = { run: RUN, deploy, dependencies: [], upgraded: false };
  let folder: string;
  let machine: Machine;

  const step = <T>(body: (activities: Activities) => Promise<T>): Promise<T> =>
    machine.attempt({ dead: false }, 1, body);
  const coldCustom = (): Promise<TierAnswer> =>
    step((steps) => steps.coldCustom({ ...asked, step: 'cold-test: custom' }));

  beforeEach(async () => {
    folder = mkdtempSync(path.join(tmpdir(), 'tier-'));
    mkdirSync(path.join(folder, 'checks'));
    machine = createMachine(folder, ['ghost']);
    machine.open.add('sweep');
    machine.upstreams.set('ghost', [{ ...deploy, quality: 'good' }]);
    await step(({ mirrorSync }) => mirrorSync({ recipe: 'ghost', run: RUN }));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  const install = () => step((s) => s.coldInstall({ ...asked, step: 'cold-test: install' }));

  function checks(written: Record<string, string>): void {
    const files = Object.entries(written).map(([name, text]) => {
      const file = path.join(folder, 'checks', name);
      writeFileSync(file, `#!/bin/sh\n${text}\n`, { mode: 0o755 });
      return file;
    });
    machine.settings.set('ghost', { checks: files });
  }

  it('passes when some check does, and the others are not applicable', async () => {
    await install();
    checks({ '1-login': 'echo "$TIER $STACK_NAME"', '2-mail': 'echo no mail; exit 77' });
    expect(await coldCustom()).toEqual({ result: 'pass' });
    const kept = path.join(machine.state, 'runs', 'sweep', 'ghost', 'cold-test-custom', 'check-1-login.txt');
    expect(readFileSync(kept, 'utf8')).toMatch(/\ncustom ghos-\w+_model_test\n/);
  });

  it('is skipped when no check is applicable, for their reasons', async () => {
    await install();
    checks({ '1-login': 'echo no login; exit 77', '2-mail': 'echo no mail; exit 77' });
    expect(await coldCustom()).toEqual({
      result: 'skipped',
      reason: 'no check is applicable: 1-login: no login; 2-mail: no mail',
    });
  });

  it('is skipped when the recipe has none', async () => {
    await install();
    expect(await coldCustom()).toEqual({ result: 'skipped', reason: 'the recipe has no checks' });
  });

  it('fails with the first check that does; all are run', async () => {
    await install();
    checks({ '1-good': 'exit 0', '2-bad': 'echo no; exit 1', '3-worse': 'exit 2', '4-none': 'exit 77' });
    expect(await coldCustom()).toEqual({
      result: 'fail',
      reason: 'check 2-bad: exit status 1: no; 1 more of 4 checks failed',
      evidence: expect.stringMatching(/cold-test-custom\/check-2-bad\.txt$/),
    });
  });

  it('is no question to ask of what does not run', async () => {
    checks({ '1-login': 'exit 0' });
    await expect(coldCustom()).rejects.toMatchObject({
      type: 'BadInput',
      message: expect.stringContaining('there is nothing to check'),
    });
  });
});
