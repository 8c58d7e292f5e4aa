import { channel } from 'node:diagnostics_channel';

/**
 * The step boundaries of the product: the moments between one lasting effect (on disk, in docker, in git) and
 * the next, where a crash could matter. Passing one publishes its name on a diagnostics channel, which costs
 * nothing while nobody listens. The fault campaign listens (docs/chaos.md), and so may whoever traces a worker.
 */
export const BOUNDARIES = [
  // one attempt on the host
  'lock.after-claim',
  'lock.after-give-back',
  'attempt.after-enter',
  'guard.after-look',
  'command.after-start',

  // a sweep opens and closes
  'open.after-preflight',
  'open.after-reap',
  'close.before-report',
  'close.after-report',
  'reap.after-remove',
  'reap.after-settle',

  // where the mirror is on a forge, the first and the last two
  'mirror-sync.after-make',
  'mirror-sync.after-fetch',
  'mirror-sync.after-ledger',
  'mirror-sync.after-push',
  'mirror-sync.after-comment',
  'mirror-sync.after-close',
  'resolve.after-look',

  // any deployment, cold or warm
  'deploy.after-checkout',
  'deploy.after-images',
  'deploy.after-install-hook',
  'deploy.after-secrets',
  'deploy.after-stack-deploy',
  'deploy.after-ready-hook',
  'deploy.after-converge',

  // any removal, cold or warm
  'stop.before-service',
  'stop.after-services',
  'stop.after-containers',
  'stop.after-networks',
  'remove.after-volumes',

  // around each tier
  'tier.after-before-hook',
  'tier.after-after-hook',

  'dependency.after-remove',
  'dependency.after-deploy',

  // a run's realm at a Keycloak, and on record where that is a live one
  'realm.after-mark',
  'realm.after-create',
  'realm.after-remove',
  'realm.after-clear',

  'cold-install.after-remove',
  'cold-install.after-deploy',
  'cold-install.after-markers',
  'cold-install.after-data',
  'upgrade.after-deploy',
  'upgrade.after-markers',
  'backup.after-pre-hooks',
  'backup.mid-archive',
  'backup.after-archive',
  'restore.after-undeploy',
  'restore.after-wipe',
  'restore.after-unpack',
  'restore.after-deploy',
  'restore.after-hooks',
  'restore.after-restart',
  'custom.after-checks',
  'teardown.after-remove',
  'teardown.after-checkouts',

  'quick-lane.after-attach',
  'quick-lane.after-reattach',
  'quick-lane.after-data',
  'quick-lane.after-undeploy',

  'promote.after-attach',
  'promote.after-reattach',
  'promote.after-upgrade',
  'promote.after-undeploy',
  'promote.mid-snapshot',
  'promote.before-swap',
  'promote.after-snapshot',
  'promote.before-record',
  'promote.after-record',
  'promote.after-history',

  'drop.after-mark',
  'drop.after-record',

  'settle.after-undeploy',
  'settle.after-mark',
  'settle.after-trim',
  'settle.after-volumes',
  'settle.mid-restore',
  'settle.after-restore',
  'settle.after-prune',
  'settle.after-clear',
  'settle.after-nothing',

  'reconcile.after-begin',
  'reconcile.after-undeploy',
  'reconcile.after-snapshot',
  'reconcile.after-deploy',
  'reconcile.after-gate',
  'reconcile.after-verdict',
  'reconcile.after-commit',
  'reconcile.after-put-back',
  'reconcile.after-end',

  'record.before',
  'record.after',

  // what a test says where it was asked for
  'answer.after-comment',
  'answer.after-status',
] as const;

export type Boundary = (typeof BOUNDARIES)[number];

/** What is published. */
export interface Passed {
  boundary: Boundary;
  /** The process group of the command that was started, at `command.after-start`. */
  group?: number;
  /** Of a command without a group of its own: a variable that only it, and what it starts, has in its environment. */
  marked?: Readonly<Record<string, string>>;
}

export const BOUNDARY_CHANNEL = 'recipe-sweep:boundary';

const passing = channel(BOUNDARY_CHANNEL);

/** Says that a boundary is passed. Subscribers run before it returns. */
export function passBoundary(boundary: Boundary, more: Omit<Passed, 'boundary'> = {}): void {
  if (passing.hasSubscribers) passing.publish({ boundary, ...more } satisfies Passed);
}
