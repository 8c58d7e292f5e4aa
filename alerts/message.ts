import { createHash } from 'node:crypto';
import { quotable, quotableLine } from '../domain/printable.ts';
import { fleetPage, recipePage } from '../domain/site-url.ts';
import { gistOf, type Telling } from '../domain/telling.ts';
import type { Config } from '../host/config/config.ts';
import { alertId, type KeptAlert } from '../host/store/alerts.ts';

/** What is told: once of an alert that holds, of a change of it, of its end, or to try whether it arrives. */
export interface Message {
  /** The same whenever the same is told, and so of one that was sent twice since a crash came between. */
  id: string;
  event: Telling | 'test';
  host: string;
  /** The same of all that is told of one alert; null of a test. */
  about: string | null;
  /** One line. */
  title: string;
  /** Lines for people. */
  text: string;
  /** The alert, fit to be shown; null of a test. */
  alert: Omit<KeptAlert, 'schema'> | null;
}

/** Who says it. */
export type Teller = Pick<Config, 'host' | 'zone' | 'serve'>;

/** What is told of an alert; `untold` is one of whose beginning nobody could be told. */
export function messageOf(
  { host, zone, serve: { url: site } }: Teller,
  kept: KeptAlert,
  telling: Telling,
  untold: boolean,
): Message {
  const about = alertId(kept);
  const alert = shown(kept);
  const { kind, subject, since, ended, message, evidence, advice } = alert;
  const what = `${kind} of ${subject.is === 'recipe' ? subject.name : 'the host'}`;
  const title = { holds: what, changed: `${what}, changed`, over: `over: ${what}` }[telling];
  const gist = telling === 'over' ? [] : gistOf(kept.message);
  return {
    id: idOf([host, zone, about, telling, ...gist]),
    event: telling,
    host,
    about,
    title: `${host}: ${title}`,
    text: [
      ended === null ? `Since ${since}.` : `It held from ${since} to ${ended}, and is over.`,
      ...(ended !== null && untold ? ['Of its beginning you were not told.'] : []),
      '',
      message,
      '',
      ...(evidence === null ? [] : [`The rest: ${evidence}`]),
      ...(ended === null ? [`What to do: ${advice}`] : []),
      ...(site === undefined ? [] : [`More: ${pageOf(site, subject)}`]),
    ]
      .join('\n')
      .trimEnd(),
    alert,
  };
}

/** What is told to try whether it arrives. */
export function testMessage({ host, zone }: Teller, now: Date): Message {
  return {
    id: idOf([host, zone, 'test', now.toISOString()]),
    event: 'test',
    host,
    about: null,
    title: `${host}: a test`,
    text: 'Somebody typed recipe-sweep alert test. Alerts of this host arrive here.',
    alert: null,
  };
}

function pageOf(site: string, { is, name }: KeptAlert['subject']): string {
  return is === 'recipe' ? recipePage(site, name) : fleetPage(site);
}

function idOf(parts: readonly string[]): string {
  return createHash('sha256').update(JSON.stringify(parts)).digest('hex').slice(0, 32);
}

/** An alert quotes what others wrote: tags, labels, output. */
function shown({ kind, subject, message, evidence, advice, run, since, lastSeen, ended }: KeptAlert) {
  return {
    kind,
    subject: { ...subject, name: quotableLine(subject.name) },
    message: quotable(message.trim()),
    evidence: evidence === null ? null : quotableLine(evidence),
    run: quotableLine(run),
    ...{ since, lastSeen, ended },
    advice: quotableLine(advice),
  };
}
