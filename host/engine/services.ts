import type Dockerode from 'dockerode';
import type { LabelledService } from '../../domain/backup-plan.ts';
import type { EngineAccess } from './access.ts';
import { engine } from './daemon.ts';
import { ofStack } from './stack-label.ts';

/** What a service was made with. */
export interface DeployedSpec {
  /** As compose names it. */
  name: string;
  environment: Map<string, string>;
}

export interface Services {
  /** The services of a stack with their labels and the volumes they mount. */
  services(stack: string): Promise<LabelledService[]>;
  /** What the services of a stack were made with. */
  specs(stack: string): Promise<DeployedSpec[]>;
  /** How long, in milliseconds, each service of the stack is given to stop; never more than five minutes. */
  stopGraces(stack: string): Promise<Map<string, number>>;
  /** The port of this host at which a service's port is published; null when it is not. */
  publishedPort(
    stack: string,
    service: string,
    port: { port: number; protocol: 'tcp' | 'udp' },
  ): Promise<number | null>;
}

/** What the swarm uses where a spec is silent (swarmkit defaults). */
const DEFAULT_STOP_GRACE_MS = 10_000;
/** No teardown waits longer than this for a service that will not stop. */
const LONGEST_STOP_GRACE_MS = 5 * 60_000;

/** The services of a stack as the engine lists them. */
export async function servicesOf(
  { docker, signal }: Pick<EngineAccess, 'docker' | 'signal'>,
  stack: string,
): Promise<Dockerode.Service[]> {
  signal.throwIfAborted();
  return engine(`listing the services of ${stack}`, () =>
    docker.listServices({ filters: ofStack(stack), status: true }),
  );
}

/** As compose names it. */
export function serviceName(stack: string, { Spec }: Dockerode.Service): string {
  return (Spec?.Name ?? '').slice(stack.length + 1);
}

/** What a service's spec says of its containers; undefined where they are none of docker's. */
export function containerSpec({ Spec }: Dockerode.Service): Dockerode.ContainerSpec | undefined {
  const template = Spec?.TaskTemplate;
  return template !== undefined && 'ContainerSpec' in template ? template.ContainerSpec : undefined;
}

/** The API counts in nanoseconds. */
export function milliseconds(nanoseconds: number | undefined): number | null {
  return nanoseconds === undefined ? null : nanoseconds / 1e6;
}

export function createServices(access: Pick<EngineAccess, 'docker' | 'signal'>): Services {
  return {
    async services(stack) {
      return (await servicesOf(access, stack)).map((service) => ({
        name: serviceName(stack, service),
        labels: service.Spec?.Labels ?? {},
        mounts: (containerSpec(service)?.Mounts ?? []).flatMap(({ Type, Source, Target }) =>
          Type === 'volume' && Source && Target ? [{ volume: Source, target: Target }] : [],
        ),
      }));
    },

    async specs(stack) {
      return (await servicesOf(access, stack)).map((service) => ({
        name: serviceName(stack, service),
        environment: new Map(
          (containerSpec(service)?.Env ?? []).map((line): [string, string] => {
            const [name = '', ...value] = line.split('=');
            return [name, value.join('=')];
          }),
        ),
      }));
    },

    async stopGraces(stack) {
      return new Map(
        (await servicesOf(access, stack)).map((service) => {
          const graceMs = milliseconds(containerSpec(service)?.StopGracePeriod) ?? DEFAULT_STOP_GRACE_MS;
          return [serviceName(stack, service), Math.min(graceMs, LONGEST_STOP_GRACE_MS)];
        }),
      );
    },

    async publishedPort(stack, service, { port, protocol }) {
      const found = (await servicesOf(access, stack)).find(
        ({ Spec }) => Spec?.Name === `${stack}_${service}`,
      );
      const published = found?.Endpoint?.Ports?.find(
        ({ Protocol, TargetPort }) => Protocol === protocol && TargetPort === port,
      );
      // Zero: any free one, which the swarm does not tell.
      return published?.PublishedPort || null;
    },
  };
}
