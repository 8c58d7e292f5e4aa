import { removeBackup } from '../host/data/backups.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { removeCheckouts } from './app.ts';
import type { HostAttempt } from './attempt.ts';
import type { World } from './world.ts';

/** Removes a cold stack with everything it made, its checkouts and its archive. */
export async function removeColdStack(
  world: World,
  { deployer }: Pick<HostAttempt, 'deployer'>,
  stack: string,
): Promise<void> {
  await deployer.remove({ stack, lifetime: 'cold' });
  passBoundary('teardown.after-remove');
  await removeCheckouts(world, stack);
  await removeBackup(world.config.state, stack);
  passBoundary('teardown.after-checkouts');
}
