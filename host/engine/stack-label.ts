/** docker's own label on everything of a stack. */
export const STACK_LABEL = 'com.docker.stack.namespace';
/** docker's own label on every container of a service. */
export const SERVICE_LABEL = 'com.docker.swarm.service.name';

/** The filter of the API's lists that leaves what is of this stack. */
export function ofStack(stack: string): string {
  return JSON.stringify({ label: [`${STACK_LABEL}=${stack}`] });
}
