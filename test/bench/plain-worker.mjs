// The least that a worker can be: Temporal's own, with our workflows and nothing to do them with.
// `node plain-worker.mjs <address> <task queue> <workflow bundle>`
import { NativeConnection, Worker } from '@temporalio/worker';

const [address, taskQueue, codePath] = process.argv.slice(2);
const connection = await NativeConnection.connect({ address });
const worker = await Worker.create({ connection, taskQueue, workflowBundle: { codePath }, activities: {} });
await worker.run();
await connection.close();
