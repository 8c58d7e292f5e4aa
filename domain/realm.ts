import { isRecipeName, runDigits } from './names.ts';
import type { RunRef } from './run.ts';

/**
 * Single sign-on for a run: a realm of its own at a Keycloak, with one client and one user in it. Spec §7.
 */

/** The recipe beside which a run gets a realm, be it the live service or a deployment of its own. */
export const KEYCLOAK = 'keycloak';

/** A run's realm, as whoever needs it is told of it: nothing of it is a secret. */
export interface Realm {
  name: string;
  /** As Keycloak says it. */
  issuer: string;
  clientId: string;
  /** The name of its one user. */
  user: string;
}

/** Whose a realm is, as its attributes say. */
export interface RealmMark {
  zone: string;
  recipe: string;
  /** The run's own workflow. */
  workflow: RunRef['workflow'];
}

/** The realm of a run: of no other run, and the same for each of its attempts. */
export function realmName({ recipe, workflow }: Pick<RunRef, 'recipe' | 'workflow'>): string {
  return `${recipe}-${runDigits(workflow.runId)}`;
}

/** Whether a realm of that name may be a run's; whether it is one, its attributes say. */
export function isRealmName(text: string): boolean {
  const [, recipe] = /^(.+)-[0-9a-f]{6}$/.exec(text) ?? [];
  return recipe !== undefined && isRecipeName(recipe);
}

/** To where a realm's client may send people back: to the apps at these domains, and nowhere else. */
export function redirectUris(domains: readonly string[]): string[] {
  return domains.map((domain) => `https://${domain}/*`);
}

/** Whether two marks are those of one run. */
export function isSameRun(one: RealmMark, other: RealmMark): boolean {
  return (
    one.zone === other.zone &&
    one.recipe === other.recipe &&
    one.workflow.id === other.workflow.id &&
    one.workflow.runId === other.workflow.runId
  );
}
