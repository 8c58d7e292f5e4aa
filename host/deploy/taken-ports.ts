import type Dockerode from 'dockerode';
import { Fault } from '../../domain/fault.ts';
import { engine } from '../engine/daemon.ts';
import { portName, type PublishedPort } from '../recipe-format/ports.ts';
import { STACK_LABEL } from '../engine/stack-label.ts';

/**
 * A port of this host that somebody else has says nothing about the package that wants it: a Fault, never a red
 * result.
 */

/** Throws Fault PortTaken when another stack's service, or a container beside the swarm, publishes one of these. */
export async function checkPortsFree(
  docker: Dockerode,
  stack: string,
  wanted: readonly PublishedPort[],
): Promise<void> {
  if (wanted.length === 0) return;
  const [services, containers] = await engine('looking who publishes ports', () =>
    Promise.all([docker.listServices(), docker.listContainers()]),
  );
  const taken = new Map<string, string>();
  for (const { Labels, Names, Ports } of containers) {
    if (Labels[STACK_LABEL] === stack) continue;
    for (const { PublicPort, Type } of Ports) {
      if (PublicPort) {
        taken.set(portName({ port: PublicPort, protocol: Type }), `the container ${Names[0]?.slice(1)}`);
      }
    }
  }
  for (const { Spec, Endpoint } of services) {
    if (Spec?.Labels?.[STACK_LABEL] === stack) continue;
    for (const { PublishedPort, Protocol } of Endpoint?.Ports ?? []) {
      if (PublishedPort) {
        const name = portName({ port: PublishedPort, protocol: Protocol ?? 'tcp' });
        taken.set(name, `the service ${Spec?.Name}`);
      }
    }
  }
  const port = wanted.map(portName).find((name) => taken.has(name));
  if (port === undefined) return;
  throw new Fault(
    'PortTaken',
    `${stack} publishes port ${port} of this host, which ${taken.get(port)} has: stop that one, or hold this recipe`,
  );
}

/** Throws Fault PortTaken when docker's refusal, or a task's failure, says that a port of this host is in use. */
export function refuseTakenPort(stack: string, said: string): void {
  const inUse =
    /port '?\d+'? is already in use by service[^\n]*/i.exec(said)?.[0] ??
    /(?<=driver failed programming external connectivity.*)listen \S+ \S+: bind: address already in use/i.exec(
      said,
    )?.[0];
  if (inUse === undefined) return;
  throw new Fault(
    'PortTaken',
    `a port of this host that ${stack} publishes is taken: ${inUse}; stop whatever has it, or hold this recipe`,
  );
}
