import { createContainers, type Containers } from './containers.ts';
import { createEvents, type Events } from './events.ts';
import { createExec, type Exec, type ExecSettings } from './exec.ts';
import { createObserver, type Observer } from './observe.ts';
import { createServices, type Services } from './services.ts';
import { createThings, type Things } from './things.ts';

/** The swarm as one attempt sees it: one adapter over the Docker API. Nothing is decided here. */
export type Swarm = Things & Services & Containers & Observer & Events & Exec;

export function openSwarm(settings: ExecSettings): Swarm {
  const containers = createContainers(settings);
  return {
    ...createThings(settings),
    ...createServices(settings),
    ...containers,
    ...createObserver({ ...settings, containers: containers.containers }),
    ...createEvents(settings),
    ...createExec(settings),
  };
}
