/** The labels that make what a deployment creates ours, and say whose it is. */
export const LABEL = {
  zone: 'recipe-sweep.zone',
  recipe: 'recipe-sweep.recipe',
  lifetime: 'recipe-sweep.lifetime',
  run: 'recipe-sweep.run',
  deployment: 'recipe-sweep.deployment',
  /** On a secret: what it is recognised by where it must not be written down (host/secrets/fingerprint.ts). */
  fingerprint: 'recipe-sweep.fingerprint',
} as const;
