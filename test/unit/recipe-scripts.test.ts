import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { processRunner, type Finished } from '../../host/machine/process.ts';

/** What hooks and checks of `recipes/` have in common, in its client.sh. */

const CLIENT = path.resolve(import.meta.dirname, '../../recipes/client.sh');

let server: Server;
/** What is answered, one after the other; the last from then on. */
let answers: number[];
let asked: number;

beforeEach(async () => {
  asked = 0;
  server = createServer((_, response) => {
    const status = answers[Math.min(asked++, answers.length - 1)] ?? 200;
    response.writeHead(status).end(`{"status":${status}}`);
  });
  await new Promise<void>((resolve) => {
    server.listen(0, '127.0.0.1', resolve);
  });
});

afterEach(() => {
  server.close();
});

/** Runs a line of bash that may use client.sh. */
function run(line: string): Promise<Finished> {
  const { port } = server.address() as AddressInfo;
  const environment = { PATH: process.env['PATH'] ?? '', APP_URL: `http://127.0.0.1:${port}` };
  return processRunner({ environment }).run({
    file: 'bash',
    args: ['-c', `set -euo pipefail; . '${CLIENT}'; ${line}`],
  });
}

describe('patiently', () => {
  test('asks again over 5xx, and prints the good answer alone', async () => {
    answers = [503, 500, 200];
    expect(await run("patiently api POST /notes '{}'")).toMatchObject({
      status: 0,
      stdout: '{"status":200}\n',
    });
    expect(asked).toBe(3);
  });

  test('fails at once over another answer, with what it was', async () => {
    answers = [404];
    const { status, stdout, stderr } = await run('patiently api GET /notes');
    expect({ status, stdout }).toEqual({ status: 1, stdout: '' });
    expect(stderr).toContain('{"status":404}');
    expect(asked).toBe(1);
  });
});
