import { ensureBuilt } from '../setup/ensure-built.ts';

/** Global set-up of the tests that run what `npm run build` makes: the command, the worker, the workflows' bundle. */
export default async function built(): Promise<void> {
  await ensureBuilt(console.log);
}
