import { bold, dim, yellow } from 'yoctocolors';
import type { PlanEntry } from '../../workflows/protocol.ts';
import { renderTable } from './table.ts';
import { oneLine } from './terminal.ts';

/** What a sweep would do, one line a recipe. */
export function renderPlan(entries: readonly PlanEntry[], columns: number | null): string {
  const colour = { run: bold, skip: dim, error: yellow, 'not enrolled': dim };
  const rows = entries.map(({ recipe, latest, canonical, decision, reason }) => [
    oneLine(recipe),
    oneLine(latest?.version ?? '-'),
    oneLine(canonical ?? '-'),
    colour[decision](decision),
    oneLine(reason),
  ]);
  return renderTable(['recipe', 'latest', 'canonical', 'decision', 'why'], rows, { flexible: 4, columns });
}
