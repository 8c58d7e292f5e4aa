import type { Say } from '../machine.ts';

/** Something an image is made of that Debian does not have. */
export interface Part {
  /** Changes when the part does. */
  fingerprint: string;
  /** Puts it beside the Dockerfile in this folder. */
  putInto(folder: string, say: Say): Promise<void>;
}
