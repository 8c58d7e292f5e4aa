// What `node --import` loads into the worker that the campaign strikes. Node loads it into the threads that run
// workflows as well, where there is nothing to listen to.
import { isMainThread } from 'node:worker_threads';

if (isMainThread) {
  const { register } = await import('tsx/esm/api');
  const unregister = register();
  await import('./listener.ts');
  // What it listens to is loaded as it is without a listener.
  await unregister();
}
