import { appendFile } from 'node:fs/promises';
import path from 'node:path';
import type { App } from '../domain/app.ts';
import type { ServiceHook } from '../domain/backup-plan.ts';
import { Fault } from '../domain/fault.ts';
import type { Tier } from '../domain/outcome.ts';
import { quotableLine } from '../domain/printable.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import { timeWithin, tooLong } from '../host/scripts/app-scripts.ts';
import type { HostAttempt } from './attempt.ts';
import type { TierFailure, TierPass } from './tier.ts';

/** What a backup and a restore have in common: hooks that run in the app's own containers, and may lose them. */

/** So often a backup is taken, or restored, whose hooks lose their containers. */
const MOST_TRIES = 3;

/** What is done to an app with hooks in its containers. */
export interface Hooked {
  tier: 'backup' | 'restore';
  hooks: readonly ServiceHook[];
  /** Brings the app to where it begins, each time anew. Null when it is there. */
  prepare?: () => Promise<TierFailure | null>;
  /** Null when all went well. `went` names those services of the hooks whose containers went meanwhile. */
  act: (went: () => Promise<string>) => Promise<TierFailure | null>;
}

/**
 * Backs up or restores once nothing of the app is in flight, and again when it failed and a container went meanwhile in
 * which one of the hooks runs. Apps crash until their database is up, and are backed up all the same; one that goes
 * each time cannot be.
 */
export async function whileHooksHaveTheirContainers(
  { stacks, report }: Pick<HostAttempt, 'stacks' | 'report'>,
  app: App,
  { tier, hooks, prepare, act }: Hooked,
): Promise<TierPass | TierFailure> {
  const services = [...new Set(hooks.map(({ service }) => service))];
  const failed = async (reason: string): Promise<TierFailure> => {
    const evidence = await keep(app.evidence, `${tier}.txt`, `${reason}\n`);
    return { result: 'fail', reason: quotableLine(reason), evidence };
  };
  for (let tries = 1; ; tries++) {
    const unprepared = await prepare?.();
    if (unprepared) return unprepared;
    const rest = await stacks.atRest(app);
    if (!rest.ok) return failed(`not all of it is up before the ${tier}: ${rest.reason}`);
    const idle = hooks.find(({ service }) => !rest.tasks[service]);
    if (idle) return failed(`${idle.hook} of service ${idle.service}: no container of it runs`);
    const went = async (): Promise<string> => {
      const gone = services.length === 0 ? [] : await stacks.goneTasks(app.stack, rest.tasks);
      return services.filter((name) => gone.includes(name)).join(', ');
    };
    let failure: TierFailure | null = null;
    let broken: unknown = null;
    try {
      failure = await act(went);
    } catch (error) {
      // How a command in a container ends that goes meanwhile.
      if (!(error instanceof Fault && error.type === 'Daemon')) throw error;
      broken = error;
    }
    if (failure === null && broken === null) {
      if (tries === 1) return { result: 'pass' };
      const done = tier === 'backup' ? 'taken' : 'restored';
      return {
        result: 'pass',
        note: `${done} ${tries} times, since a container went in which its hooks run`,
      };
    }
    const whose = await went();
    if (whose === '' && broken !== null) throw broken;
    if (whose === '' && failure !== null) return failure;
    const done = tier === 'backup' ? 'backed up' : 'restored';
    if (tries === MOST_TRIES) {
      return failed(
        `${MOST_TRIES} times the container of ${whose} went while it was ${done}, with its hooks`,
      );
    }
    report(`the container of ${whose} went meanwhile, so it is ${done} again`);
  }
}

/** Runs hooks in their services until one fails, and keeps what they print without the stack's secrets. */
export async function runHooks(
  { stacks, evidence: kept, report, until }: Pick<HostAttempt, 'stacks' | 'evidence' | 'report' | 'until'>,
  app: App,
  tier: Tier,
  hooks: readonly ServiceHook[],
): Promise<TierFailure | null> {
  const evidence = path.join(app.evidence, `${tier}-hooks.txt`);
  const fit = async (text: string): Promise<string> => (await kept.fit(app, text)).trimEnd();
  for (const { hook, service, command } of hooks) {
    const what = `${hook} of service ${service}`;
    report(what);
    const allowedMs = app.settings.timeouts.hook;
    const timeoutMs = timeWithin(until, allowedMs);
    const { status, output } = await stacks.exec(app.stack, service, command, timeoutMs);
    const said = await fit(output);
    const how = status === null ? tooLong(timeoutMs, allowedMs) : `exit status ${status}`;
    await appendFile(evidence, [`== ${what}: ${await fit(command)}`, said, `== ${how}`, '', ''].join('\n'));
    if (status === 0) continue;
    const last = said.split('\n').at(-1) ?? '';
    return { result: 'fail', reason: quotableLine(`${what}: ${how}${last && `: ${last}`}`), evidence };
  }
  return null;
}
