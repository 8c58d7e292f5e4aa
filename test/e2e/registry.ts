import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { gzipSync } from 'node:zlib';

/** An image registry that answers what a test says. */

export interface RegistryAnswer {
  status: number;
  body: Buffer;
  type?: string;
  digest?: string;
}

export interface Registry {
  host: string;
  close(): void;
}

export function errorBody(code: string, message: string): Buffer {
  return Buffer.from(JSON.stringify({ errors: [{ code, message }] }));
}

/**
 * An image registry on this machine, which the engine speaks plain HTTP to. `login` says as whom, in the form
 * `user:password`, it is to be asked; null for anybody.
 */
export async function startRegistry(
  answer: (url: string) => RegistryAnswer | null,
  login: () => string | null = () => null,
): Promise<Registry> {
  const server = createServer((request, response) => {
    const user = login();
    if (user !== null && request.headers.authorization !== `Basic ${Buffer.from(user).toString('base64')}`) {
      response.writeHead(401, {
        'www-authenticate': 'Basic realm="test"',
        'content-type': 'application/json',
      });
      response.end(errorBody('UNAUTHORIZED', 'authentication required'));
      return;
    }
    const found: RegistryAnswer =
      request.url === '/v2/'
        ? { status: 200, body: Buffer.from('{}') }
        : (answer(request.url ?? '') ?? { status: 404, body: errorBody('BLOB_UNKNOWN', 'blob unknown') });
    response.writeHead(found.status, {
      'content-type': found.type ?? 'application/json',
      'content-length': found.body.length,
      ...(found.digest === undefined ? {} : { 'docker-content-digest': found.digest }),
    });
    response.end(request.method === 'HEAD' ? undefined : found.body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  return { host: `127.0.0.1:${port}`, close: () => server.close() };
}

/** An image of this engine as a registry has it: by the last part of the URLs that the engine asks for. */
export function packImage(image: string): Map<string, RegistryAnswer> {
  const folder = mkdtempSync(path.join(tmpdir(), 'packed-'));
  try {
    const saved = execFileSync('docker', ['save', image], { maxBuffer: 64 * 1024 * 1024 });
    execFileSync('tar', ['-C', folder, '-x'], { input: saved });
    const [listed] = JSON.parse(readFileSync(path.join(folder, 'manifest.json'), 'utf8')) as {
      Config: string;
      Layers: string[];
    }[];
    const blob = (mediaType: string, body: Buffer) => ({
      answer: { status: 200, body, type: mediaType, digest: sha256(body) },
      entry: { mediaType, size: body.length, digest: sha256(body) },
    });
    const type = 'application/vnd.docker';
    const settings = blob(
      `${type}.container.image.v1+json`,
      readFileSync(path.join(folder, listed?.Config ?? '')),
    );
    const layers = (listed?.Layers ?? []).map((layer) =>
      blob(`${type}.image.rootfs.diff.tar.gzip`, gzipSync(readFileSync(path.join(folder, layer)))),
    );
    const mediaType = `${type}.distribution.manifest.v2+json`;
    const manifest = blob(
      mediaType,
      Buffer.from(
        JSON.stringify({
          schemaVersion: 2,
          mediaType,
          config: settings.entry,
          layers: layers.map(({ entry }) => entry),
        }),
      ),
    );
    return new Map([
      ['1', manifest.answer],
      ...[manifest, settings, ...layers].map(({ answer }) => [answer.digest, answer] as const),
    ]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function sha256(body: Buffer): string {
  return `sha256:${createHash('sha256').update(body).digest('hex')}`;
}
