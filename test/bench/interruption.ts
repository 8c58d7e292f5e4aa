import { setMaxListeners } from 'node:events';
import { stopSignal } from '../../client/signals.ts';

/** Aborted when the bench is asked to end: what is being measured ends, and takes away what it started. */
export const interruption = stopSignal().signal;

// Each call to the server listens to it until the call's connection is closed.
setMaxListeners(0, interruption);
