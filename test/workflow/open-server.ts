import { afterAll, inject } from 'vitest';
import { quietRuntime, startWorkflowServer, type WorkflowServer } from './server.ts';

/** For the tests of one file; it ends after them. Nothing but what is unexpected is printed. */
export async function openWorkflowServer(): Promise<WorkflowServer> {
  quietRuntime();
  const server = await startWorkflowServer(inject('temporal'));
  afterAll(() => server.close());
  return server;
}
