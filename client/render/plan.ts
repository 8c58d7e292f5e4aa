import { bold, dim, yellow } from 'yoctocolors';
import { mostOf, mostText } from '../../domain/disk.ts';
import type { PlanEntry } from '../../workflows/protocol.ts';
import { renderTable } from './table.ts';
import { oneLine } from './terminal.ts';

/** What a sweep would do, one line a recipe, and the room that those which would run take. */
export function renderPlan(entries: readonly PlanEntry[], columns: number | null): string {
  const colour = { run: bold, skip: dim, error: yellow, 'not enrolled': dim };
  const rows = entries.map(({ recipe, latest, canonical, decision, reason }) => [
    oneLine(recipe),
    oneLine(latest?.version ?? '-'),
    oneLine(canonical ?? '-'),
    colour[decision](decision),
    oneLine(reason),
  ]);
  const table = renderTable(['recipe', 'latest', 'canonical', 'decision', 'why'], rows, {
    flexible: 4,
    columns,
  });
  const needs = entries
    .filter(({ decision }) => decision === 'run')
    .map((one) => ({ ...one, need: one.disk }));
  return needs.length === 0 ? table : `${table}\n\ndisk: ${oneLine(mostText(mostOf(needs)))}`;
}
