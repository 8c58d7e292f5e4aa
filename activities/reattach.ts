import { changedImages, type App } from '../domain/app.ts';
import type { Deployment, Proof } from '../host/deploy/deployer.ts';
import type { CanonicalRecord } from '../host/store/canonicals.ts';
import type { HostAttempt } from './attempt.ts';

/**
 * Starts the canonical again on its own data, as an operator starts what was stopped. Not ok, with the reason, where it
 * does not come up as the proof asks, or comes up on other images than it was proven on: whatever followed it would be no
 * proof.
 */
export async function reattach(
  { deployer }: Pick<HostAttempt, 'deployer'>,
  app: App,
  { version, images }: CanonicalRecord,
  proof: Proof,
): Promise<Deployment> {
  const deployed = await deployer.deploy(app, 'restart', proof);
  if (!deployed.ok) {
    return {
      ...deployed,
      reason: `the canonical ${version} does not run on its own data: ${deployed.reason}`,
    };
  }
  const other = changedImages(images, deployed.images);
  if (other === null) return deployed;
  const reason = `the canonical ${version} was proven on other images: ${other}`;
  return { ok: false, reason, evidence: app.evidence };
}
