import type Dockerode from 'dockerode';
import { engine } from './daemon.ts';
import { ofStack } from './stack-label.ts';

/** A volume of a stack and the folder its data is in. */
export interface Volume {
  name: string;
  mountpoint: string;
  /** What it holds is not kept in that folder but in memory, or wherever its driver options say. */
  elsewhere?: true;
}

/** The volumes of a stack, by name. */
export async function volumesOf(docker: Dockerode, stack: string): Promise<Volume[]> {
  const { Volumes } = await engine(`listing the volumes of ${stack}`, () =>
    docker.listVolumes({ filters: ofStack(stack) }),
  );
  return Volumes.map(({ Name, Mountpoint, Driver, Options }): Volume => {
    const here = Driver === 'local' && Options?.['device'] === undefined;
    return { name: Name, mountpoint: Mountpoint, ...(here ? {} : { elsewhere: true }) };
  }).sort((a, b) => (a.name < b.name ? -1 : 1));
}
