import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from 'pino';
import { messageOf as wordsOf } from '../domain/fault.ts';
import { owedOf, UNTOLD, withTold, type Owed } from '../domain/telling.ts';
import { alertAccess, alertTargets, type AlertTarget } from '../host/config/alert-targets.ts';
import type { Config } from '../host/config/config.ts';
import { declaredEnvironment } from '../host/config/environment.ts';
import { lockFile, type FileLock } from '../host/machine/file-lock.ts';
import { processRunner } from '../host/machine/process.ts';
import { alertId, createAlerts, type AlertInFile } from '../host/store/alerts.ts';
import { createRelayed, type RelayedTo } from '../host/store/relayed.ts';
import { messageOf } from './message.ts';
import { sender, type Send } from './send.ts';
import { Undelivered } from './undelivered.ts';

/**
 * Tells each target of the configuration once of each alert: that it holds, when its message says something new, and that
 * it is over. What was told stands on disk, by target, and is written right after it was taken: a crash between the two
 * has it told again, under the same ID. An alert that is over is archived once nobody is owed its end.
 */

export type RelayConfig = Pick<Config, 'host' | 'zone' | 'state' | 'alerts' | 'serve'>;

export interface RelaySettings {
  config: RelayConfig;
  log: Pick<Logger, 'info' | 'warn'>;
  /** Waits for a lock that one process of all with this state folder has at a time. */
  lock(file: string): Promise<FileLock>;
  send: Send;
  now(): Date;
  /** From 0 to 1. */
  random(): number;
}

export interface Relay {
  targets: readonly AlertTarget[];
  /**
   * Tells a target what it is owed, unless it is away and is to be left alone for a while. What goes wrong is logged, and
   * stands on disk.
   */
  deliver(target: AlertTarget): Promise<void>;
  /** Archives what is over and owed to nobody. */
  archive(): Promise<void>;
}

const LOOK_MS = 10_000;
const FIRST_WAIT_MS = 15_000;
const LONGEST_WAIT_MS = 30 * 60_000;

/**
 * Relays until the signal; what is being sent then is let end, so that it need not be told twice. Never rejects. Without
 * a target it does nothing, and forgets what targets there were.
 */
export async function relayAlerts(
  config: RelayConfig & Pick<Config, 'path' | 'docker'>,
  { log, signal }: { log: RelaySettings['log']; signal: AbortSignal },
): Promise<void> {
  const commands = processRunner({ environment: declaredEnvironment(config), signal });
  const relay = createRelay({
    config,
    log,
    lock: (file) => lockFile(file, { commands, endOrphans: async () => undefined }),
    send: sender(config),
    now: () => new Date(),
    random: Math.random,
  });
  await createRelayed(config.state)
    .keepOnly(relay.targets.map(({ key }) => key))
    .catch((error: unknown) => log.warn({ error: wordsOf(error) }, 'targets of alerts that are gone stay'));
  if (relay.targets.length === 0) return;
  const until = async (task: () => Promise<void>): Promise<void> => {
    while (!signal.aborted) {
      await task();
      await sleep(LOOK_MS, undefined, { signal }).catch(() => undefined);
    }
  };
  // Each by itself, so that one that is slow holds up no other.
  await Promise.all([
    ...relay.targets.map((target) => until(() => relay.deliver(target))),
    until(relay.archive),
  ]);
}

interface Debt extends Owed {
  alert: AlertInFile;
}

export function createRelay({ config, log, lock, send, now, random }: RelaySettings): Relay {
  const alerts = createAlerts(config.state);
  const relayed = createRelayed(config.state);
  const targets = alertTargets(config.alerts);
  /** By target: how often in a row it was away, and until when it is left alone. */
  const away = new Map<string, { times: number; untilMs: number }>();
  /** What was taken and could not be written down, on a full disk say. */
  const unwritten = new Set<string>();
  let lastProblem = '';

  /** Of an alert that ended meanwhile, its end. */
  async function allAlerts(): Promise<AlertInFile[]> {
    const [open, over] = [await alerts.open(), await alerts.over()];
    const problem = [...open.unreadable, ...over.unreadable].join('\n');
    if (problem !== '' && problem !== lastProblem)
      log.warn({ error: problem }, 'alerts that nobody can be told of');
    lastProblem = problem;
    return [...new Map([...open.alerts, ...over.alerts].map((alert) => [alertId(alert), alert])).values()];
  }

  /**
   * What is on record of a target, without what is no alert any more, and what it is owed, the oldest first. The record is
   * read first: of what another worker archives meanwhile, the alert is then gone too.
   */
  async function look({
    key,
    name,
  }: AlertTarget): Promise<{ record: RelayedTo; debts: Debt[]; isNew: boolean }> {
    const found = await relayed.read(key);
    const there = await allAlerts();
    const ids = new Set(there.map(alertId));
    const since = found?.since ?? now().toISOString();
    const told = Object.entries(found?.alerts ?? {});
    const kept = Object.fromEntries(told.filter(([id]) => ids.has(id)));
    const record = { schema: 1, target: name, since, failing: found?.failing ?? null, alerts: kept } as const;
    const debts = there
      .flatMap((alert): Debt[] => {
        const owed = owedOf(alert, kept[alertId(alert)] ?? UNTOLD, since, now());
        return owed === null ? [] : [{ ...owed, alert }];
      })
      .sort((one, other) => (one.since < other.since ? -1 : 1));
    const isNew =
      found === null ||
      Object.keys(kept).length < told.length ||
      (debts.length === 0 && found.failing !== null);
    return { record, debts, isNew };
  }

  /** Tells it, and answers why it did not take all of it; null when it did. */
  async function tell(target: AlertTarget): Promise<string | null> {
    const { record, debts } = await look(target);
    let failure: string | null = null;
    const keep = async (): Promise<void> => {
      const at = now().toISOString();
      const failing = failure === null ? null : { since: record.failing?.since ?? at, at, error: failure };
      await relayed.write(target.key, { ...record, failing });
    };
    if (debts.length === 0) await keep();
    try {
      const access = debts.length === 0 ? null : await alertAccess(target);
      for (const { alert, telling } of debts) {
        if (access === null) break;
        const id = alertId(alert);
        const told = record.alerts[id] ?? UNTOLD;
        const message = messageOf(config, alert, telling, told.holds === null);
        const sending = `${target.key} ${message.id}`;
        try {
          if (!unwritten.has(sending)) await send(access, message);
        } catch (error) {
          if (!(error instanceof Undelivered && error.isOfMessage)) throw error;
          failure = error.message;
          continue;
        }
        unwritten.add(sending);
        record.alerts[id] = withTold(alert, told, telling, now());
        await keep();
        unwritten.delete(sending);
        log.info({ alert: id, telling, target: target.name, id: message.id }, 'alert delivered');
      }
    } catch (error) {
      failure = wordsOf(error);
    }
    if (failure !== null) await keep();
    return failure;
  }

  return {
    targets,
    async deliver(target) {
      const { key, name } = target;
      const { times, untilMs } = away.get(key) ?? { times: 0, untilMs: 0 };
      if (now().getTime() < untilMs) return;
      let failure: string | null;
      try {
        const { debts, isNew } = await look(target);
        if (debts.length === 0 && !isNew) {
          away.delete(key);
          return;
        }
        const held = await lock(relayed.lockOf(key));
        try {
          failure = await tell(target);
        } finally {
          await held.giveBack();
        }
      } catch (error) {
        failure = wordsOf(error);
      }
      if (failure === null) {
        away.delete(key);
        return;
      }
      const waitMs = Math.min(FIRST_WAIT_MS * 2 ** times, LONGEST_WAIT_MS) * (0.75 + random() / 4);
      away.set(key, { times: times + 1, untilMs: now().getTime() + waitMs });
      log.warn({ target: name, error: failure, againMs: Math.round(waitMs) }, 'alert not delivered');
    },

    async archive() {
      try {
        const { alerts: over } = await alerts.over();
        if (over.length === 0) return;
        const records = await Promise.all(targets.map(({ key }) => relayed.read(key)));
        const isSettled = (alert: AlertInFile): boolean =>
          records.every(
            (record) =>
              record !== null &&
              owedOf(alert, record.alerts[alertId(alert)] ?? UNTOLD, record.since, now()) === null,
          );
        for (const alert of over.filter(isSettled)) await alerts.archive(alert);
      } catch (error) {
        log.warn({ error: wordsOf(error) }, 'alerts that are over were not archived');
      }
    },
  };
}
