import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import http2 from 'node:http2';
import { connect as connectTcp, type AddressInfo, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import tls from 'node:tls';
import { NativeConnection } from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connect } from '../../client/connect.ts';
import { readConfig } from '../../host/config/config.ts';
import { temporalAccess } from '../../host/config/temporal-access.ts';
import { authority } from '../fixtures/certificates.ts';
import { openWorkflowServer } from './open-server.ts';

/** The commands and the worker against a real server behind TLS that wants to know who calls. */

const NAME = 'temporal.example.org';
const ours = authority('ours');
const theirs = authority('theirs');

const server = await openWorkflowServer();
let folder: string;
let gate: Server;
let port: number;

beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'temporal-access-'));
  const [host = '', inner = ''] = server.address.split(':');
  gate = tls.createServer(
    { ...ours.issue(NAME), ca: ours.ca, requestCert: true, ALPNProtocols: ['h2'] },
    (socket) => {
      const behind = connectTcp(Number(inner), host);
      socket.pipe(behind).pipe(socket);
      for (const end of [socket, behind]) end.on('error', () => [socket, behind].map((one) => one.destroy()));
    },
  );
  await new Promise<void>((resolve) => gate.listen(0, '127.0.0.1', resolve));
  port = (gate.address() as AddressInfo).port;
  const { cert, key } = ours.issue('the-worker');
  for (const [name, text] of Object.entries({
    'ca.pem': ours.ca,
    'theirs.pem': theirs.ca,
    cert,
    key,
    token: 'sesame\n',
  }))
    await writeFile(path.join(folder, name), text);
});

afterAll(async () => {
  gate?.close();
  await rm(folder, { recursive: true });
});

async function configured(temporal: Record<string, unknown>) {
  const file = path.join(folder, 'recipe-sweep.json');
  const rest = {
    host: 'h',
    zone: 'z.test',
    state: './state',
    recipes: './recipes',
    mirrors: './{recipe}.git',
  };
  await writeFile(file, JSON.stringify({ ...rest, temporal: { address: `127.0.0.1:${port}`, ...temporal } }));
  return readConfig(file);
}

const OURS = { ca: 'ca.pem', cert: 'cert', key: 'key', serverName: NAME };

test('both of our connections come through', async () => {
  const config = await configured({ tls: OURS });
  const opened = await connect(config);
  expect((await opened.connection.workflowService.getSystemInfo({})).serverVersion).toMatch(/^\d/);
  await opened.close();
  const native = await NativeConnection.connect(await temporalAccess(config.temporal));
  await native.close();
}, 60_000);

test.each([
  ['without TLS', {}, 'one with TLS needs temporal.tls'],
  ['of another authority', { tls: { ...OURS, ca: 'theirs.pem' } }, 'does temporal.tls.ca vouch for it?'],
  ['of another name', { tls: { ...OURS, serverName: 'other.example.org' } }, 'is it this server, with TLS'],
])(
  'a server %s is not one that answers, and the message says what to look at',
  async (_, temporal, says) => {
    await expect(connect(await configured(temporal))).rejects.toThrow(says);
  },
  60_000,
);

test('an API key is sent as the server expects it, and one that it refuses is said to be', async () => {
  const keys: unknown[] = [];
  const guard = http2.createSecureServer(ours.issue(NAME));
  guard.on('stream', (stream, headers) => {
    keys.push(headers.authorization);
    stream.respond(
      {
        ':status': 200,
        'content-type': 'application/grpc',
        'grpc-status': '16',
        'grpc-message': 'who are you',
      },
      { endStream: true },
    );
  });
  await new Promise<void>((resolve) => guard.listen(0, '127.0.0.1', resolve));
  const address = `127.0.0.1:${(guard.address() as AddressInfo).port}`;
  const config = await configured({ address, apiKeyFile: 'token', tls: { ca: 'ca.pem', serverName: NAME } });
  await expect(connect(config)).rejects.toThrow(/does not take who we are.*who are you.*temporal.apiKeyFile/);
  expect(new Set(keys)).toEqual(new Set(['Bearer sesame']));
  guard.close();
}, 60_000);

test.each([
  [{ tls: { ca: 'nowhere.pem' } }, /temporal.tls.ca: ENOENT/],
  [{ tls: {}, apiKeyFile: 'recipe' }, /temporal.apiKeyFile: ENOENT/],
  [{ apiKeyFile: 'token' }, /without TLS/],
  [{ tls: { cert: 'cert' } }, /cert and key go together/],
])('%j is a mistake of the configuration, and said to be', async (temporal, says) => {
  await expect(configured(temporal).then(({ temporal: read }) => temporalAccess(read))).rejects.toMatchObject(
    {
      type: 'BadConfig',
      message: expect.stringMatching(says),
    },
  );
});
