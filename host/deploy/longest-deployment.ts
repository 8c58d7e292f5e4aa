const SHARE_OF_TIER = 0.8;

/**
 * How long a deployment may take, in milliseconds, in a step that is ended then. A recipe sets its own time, but not
 * so much that the step ends before it can be judged.
 */
export function longestDeployment(until: number): number {
  return Math.floor((until - Date.now()) * SHARE_OF_TIER);
}
