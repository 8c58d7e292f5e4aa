import { messageOf } from '../../domain/fault.ts';
import type { EngineAccess } from './access.ts';
import { engine, saysGone } from './daemon.ts';

export const KINDS = ['service', 'container', 'network', 'config', 'secret', 'volume'] as const;
export type Kind = (typeof KINDS)[number];

/** One thing on the engine that carries labels. */
export interface Labelled {
  kind: Kind;
  /** What the API takes to name it: the ID, or the name of a volume. */
  id: string;
  name: string;
  labels: Readonly<Record<string, string>>;
}

/** Whatever on the engine carries labels: found by them, and removed. */
export interface Things {
  /** Everything that carries the label, or the label with that value. */
  labelled(label: string): Promise<Labelled[]>;
  /** Removes one thing; that it is gone already is fine. A container is ended by force. */
  remove(thing: Pick<Labelled, 'kind' | 'id' | 'name'>): Promise<void>;
}

export function createThings({ docker, signal, guard }: EngineAccess): Things {
  return {
    async labelled(label) {
      signal.throwIfAborted();
      const filters = JSON.stringify({ label: [label] });
      const { listed, volumes } = await engine(`looking for what carries ${label}`, async () => {
        const [services, running, networks, configs, secrets, { Volumes }] = await Promise.all([
          docker.listServices({ filters }),
          docker.listContainers({ all: true, filters }),
          docker.listNetworks({ filters }),
          docker.listConfigs({ filters }),
          docker.listSecrets({ filters }),
          docker.listVolumes({ filters }),
        ]);
        return { listed: { services, running, networks, configs, secrets }, volumes: Volumes };
      });
      return [
        ...listed.services.map((one) => swarmThing('service', one)),
        ...listed.running.map((one): Labelled => ({
          kind: 'container',
          id: one.Id,
          name: one.Names[0]?.slice(1) ?? one.Id,
          labels: one.Labels,
        })),
        ...listed.networks.map((one): Labelled => ({
          kind: 'network',
          id: one.Id,
          name: one.Name,
          labels: one.Labels ?? {},
        })),
        ...listed.configs.map((one) => swarmThing('config', one)),
        ...listed.secrets.map((one) => swarmThing('secret', one)),
        ...volumes.map((one): Labelled => ({
          kind: 'volume',
          id: one.Name,
          name: one.Name,
          labels: one.Labels ?? {},
        })),
      ];
    },

    async remove({ kind, id, name }) {
      signal.throwIfAborted();
      await guard();
      await engine(`removing ${kind} ${name}`, async () => {
        switch (kind) {
          case 'service':
            return docker.getService(id).remove();
          case 'container':
            return docker.getContainer(id).remove({ force: true, v: true });
          case 'network':
            return docker.getNetwork(id).remove();
          case 'config':
            return docker.getConfig(id).remove();
          case 'secret':
            return docker.getSecret(id).remove();
          case 'volume':
            return docker.getVolume(id).remove();
        }
      }).catch((error: unknown) => {
        if (!saysGone(messageOf(error))) throw error;
      });
    },
  };
}

function swarmThing(
  kind: Kind,
  thing: {
    ID: string;
    Spec?: { Name?: string | undefined; Labels?: Record<string, string> | undefined } | undefined;
  },
): Labelled {
  return { kind, id: thing.ID, name: thing.Spec?.Name ?? thing.ID, labels: thing.Spec?.Labels ?? {} };
}
