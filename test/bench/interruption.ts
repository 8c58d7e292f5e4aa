import { stopSignal } from '../../client/signals.ts';

/** Aborted when the bench is asked to end: what is being measured ends, and takes away what it started. */
export const interruption = stopSignal().signal;
