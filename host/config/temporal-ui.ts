import type { Config } from './config.ts';

/** The page of a workflow in Temporal's own UI. */
export function workflowUrl({ temporal }: Pick<Config, 'temporal'>, workflowId: string): string {
  // Half a character has no encoding.
  const whole = workflowId.replace(/\p{Cs}/gu, '\ufffd');
  return `${namespaceUrl(temporal)}/workflows/${encodeURIComponent(whole)}`;
}

/** The page of a schedule in Temporal's own UI. */
export function scheduleUrl({ temporal }: Pick<Config, 'temporal'>, scheduleId: string): string {
  return `${namespaceUrl(temporal)}/schedules/${encodeURIComponent(scheduleId)}`;
}

function namespaceUrl({ ui, namespace }: Config['temporal']): string {
  return `${ui.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}`;
}
