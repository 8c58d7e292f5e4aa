import path from 'node:path';
import { checkedRecipe } from '../domain/names.ts';
import { writeJson } from './durable-file.ts';

/** Something an operator must look at; relayed and archived by whoever watches `<state>/alerts/`. */
export interface Alert {
  kind: 'tag-moved' | 'canonical-unreadable' | 'promote-failed';
  recipe: string;
  message: string;
  run: string;
}

export interface Alerts {
  /** Writes one JSON file per alert and run; raising the same one again replaces it. */
  raise(alert: Alert, now: Date): Promise<void>;
}

export function createAlerts(state: string): Alerts {
  return {
    async raise(alert, now) {
      const run = alert.run.replace(/[^A-Za-z0-9]+/g, '-').slice(-60);
      const file = path.join(state, 'alerts', `${alert.kind}-${checkedRecipe(alert.recipe)}-${run}.json`);
      await writeJson(file, { schema: 1, ts: now.toISOString(), ...alert });
    },
  };
}
