/**
 * Something that an operator must look at, for as long as it holds. What it is known by is its kind and its subject:
 * found again it is the same alert, which holds since when it did, and one that is over has an end.
 */

export const ALERT_KINDS = [
  'tag-moved',
  'canonical-unreadable',
  'promote-failed',
  /** A run ended, and not everything of it could be removed. */
  'left-behind',
  /** The reaper could not remove, or put back, what a run left. */
  'not-reaped',
  /** A service's latest release waits for an operator. */
  'service-held',
  /** A release of a service was unhealthy, and it is at the one before. */
  'service-rolled-back',
  /** A service is not healthy, and its reconcile could not help it. */
  'service-down',
  /** Nothing was learned of a service, or nothing could be done about it. */
  'service-not-reconciled',
  /** What runs at a service's domain was not deployed by its reconcile. */
  'service-not-adopted',
  /** A recipe that full sweeps took is not enrolled any more, and nobody has said why. */
  'recipe-gone',
  /** Something went wrong with a sweep beside its recipes' outcomes. */
  'sweep-problems',
  /** A sweep found less room than it takes, and dropped data of canonicals or could not make enough. */
  'disk-short',
] as const;
export type AlertKind = (typeof ALERT_KINDS)[number];

/** A recipe, by its name or what a label says that it is; or this host, by its name in the configuration. */
export interface AlertSubject {
  is: 'recipe' | 'host';
  name: string;
}

export interface Alert {
  kind: AlertKind;
  subject: AlertSubject;
  /** What was seen. */
  message: string;
  /** The file that has the rest; null when there is none. */
  evidence: string | null;
  /** The workflow ID of who saw it last. */
  run: string;
}

/** Whether it is the same. Alerts stand in the state folder of one host, whatever that is called by now. */
export function isSameSubject(one: AlertSubject, other: AlertSubject): boolean {
  return one.is === other.is && (one.is === 'host' || one.name === other.name);
}

/** What to do about it, by its kind, for the subject of that name. */
const ADVICE: Readonly<Record<AlertKind, (name: string) => string>> = {
  'tag-moved': (name) =>
    `look at what changed, and ask upstream to put it back; or accept it: recipe-sweep ledger accept ${name} <tag> --reason <text>. Over when the mirror can be synced again`,
  'canonical-unreadable': (name) =>
    `put a good copy back, or write the record anew: recipe-sweep canonical rebuild ${name}; to start without it: recipe-sweep canonical forget ${name} --yes. Over when it was read again`,
  'promote-failed': () =>
    'open the evidence and tell the maintainer: users who upgrade will meet it. The canonical is as before; over when the release, or a newer one, is promoted',
  'left-behind': () =>
    'nothing at first: the reaper comes for it after the recipe, and when a sweep opens or a worker starts. Over when it finds nothing left',
  'not-reaped': () =>
    'remove by hand what the message names, or mend what kept it from going. Over when the reaper finds nothing left: when a sweep opens or a worker starts',
  'service-held': (name) =>
    `read the notes and do what they ask, then let it through: recipe-sweep service approve ${name} <version>; or leave it as it is. Over when it is at that release, or at a newer one`,
  'service-rolled-back': (name) =>
    `open the evidence and tell the maintainer. It is not tried again until there is a newer release, or: recipe-sweep service approve ${name} <version>. Over when it is at that release, or at a newer one`,
  'service-down': (name) =>
    `look at it now: recipe-sweep service show ${name}. Its runs wait. Once it is healthy at its last-good release: recipe-sweep service resume ${name}. Over when a reconcile finds it healthy`,
  'service-not-reconciled': () =>
    'read why; it is tried again with the next reconcile: recipe-sweep service reconcile. Over when one goes through',
  'service-not-adopted': (name) =>
    `have it looked after: recipe-sweep service adopt ${name}; or take "live" out of its recipe.yml. Over when it is adopted, or nothing runs there`,
  'recipe-gone': (name) =>
    `put its folder back; or, if it is meant, say so: a folder with a recipe.yml that says "exception: <why>", which may go once a sweep of all recipes has seen it. Its canonical and data stay as they are: recipe-sweep canonical forget ${name} --yes gives them up. Over when such a sweep finds it enrolled, or an exception`,
  'sweep-problems': () =>
    'mend what each line names; recipe-sweep doctor shows what is still wrong. Over with the next sweep that has no problem',
  'disk-short': () =>
    'free some space, or give this host more. Data that was dropped comes back with the next release that is promoted; until then pull requests are tested cold. Over when a sweep opens and there is room enough',
};

export function adviceFor({ kind, subject }: Pick<Alert, 'kind' | 'subject'>): string {
  return ADVICE[kind](subject.name);
}
