import type { TestProject } from 'vitest/node';
import { ensureTemporal } from '../setup/temporal.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** Path of the Temporal CLI, whose dev server the tests run on. */
    temporal: string;
  }
}

/** Global set-up of the tests that need a Temporal server. */
export default async function provideTemporal(project: TestProject): Promise<void> {
  project.provide('temporal', await ensureTemporal(console.log));
}
