import type { Config } from './config.ts';

/** The page of a workflow in Temporal's own UI. */
export function workflowUrl({ temporal }: Pick<Config, 'temporal'>, workflowId: string): string {
  return `${namespaceUrl(temporal)}/workflows/${encodeURIComponent(workflowId)}`;
}

/** The page of a schedule in Temporal's own UI. */
export function scheduleUrl({ temporal }: Pick<Config, 'temporal'>, scheduleId: string): string {
  return `${namespaceUrl(temporal)}/schedules/${encodeURIComponent(scheduleId)}`;
}

function namespaceUrl({ ui, namespace }: Config['temporal']): string {
  return `${ui.replace(/\/+$/, '')}/namespaces/${encodeURIComponent(namespace)}`;
}
