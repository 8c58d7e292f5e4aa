import type { App } from '../../domain/app.ts';
import type { Swarm } from '../engine/swarm.ts';
import { fitToKeep, keepAll } from './deploy-evidence.ts';
import type { Masked } from '../secrets/masker.ts';
import type { Pictures } from './pictures.ts';

/** What is kept of what was learned, fit to be shown. */
export interface Evidence {
  /** The text fit to be kept: without colours, the app's secrets masked, what else steers a terminal written out. */
  fit(app: Masked, text: string): Promise<string>;
  /** Writes what is learned of a running deployment into its evidence folder: logs, tasks, events since then. */
  keepEvidence(app: App, since: Date): Promise<void>;
}

export interface EvidenceAccess {
  swarm: Swarm;
  pictures: Pick<Pictures, 'take'>;
  /** Ends the collecting. */
  signal: AbortSignal;
  report: (what: string) => void;
}

export function createEvidence({ swarm, pictures, signal, report }: EvidenceAccess): Evidence {
  return {
    fit: (app, text) => fitToKeep(swarm, app, text),

    async keepEvidence(app, since) {
      report('keeping evidence');
      const { evidence: folder } = app;
      await keepAll({ swarm, app, folder, since, signal, picture: () => pictures.take(app) });
    },
  };
}
