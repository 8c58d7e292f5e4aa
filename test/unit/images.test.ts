import { describe, expect, it } from 'vitest';
import { repositoryOf, shortName } from '../../host/engine/image-name.ts';
import { classifyPull } from '../../host/engine/images.ts';

describe('a pull that failed', () => {
  const image = 'registry.example.org/team/timeout-app:1.2';

  it.each([
    ['the tag does not exist', `manifest for ${image} not found: manifest unknown: manifest unknown`],
    [
      'the repository does not exist',
      'repository name not known to registry: name unknown: repository not found',
    ],
    [
      'the registry denies what may not exist',
      `name unknown: The repository with name 'team/app' does not exist in the registry`,
    ],
    ['the name is no image name', 'invalid reference format: repository name must be lowercase'],
    [
      'there is none for this machine',
      'no matching manifest for linux/arm64/v8 in the manifest list entries',
    ],
  ])('counts against the package: %s', (_, message) => {
    expect(classifyPull(image, message)).toBe('missing');
  });

  it.each([
    ['it wants a login', 'unauthorized: authentication required'],
    ['it lacks one', 'Head "https://r.example/v2/a/manifests/1": no basic auth credentials'],
    [
      'it says so by its status',
      'error parsing HTTP 401 response body: unexpected HTTP status: 401 Unauthorized',
    ],
    [
      'it denies what may exist',
      `pull access denied for ${repositoryOf(image)}, repository does not exist or may require 'docker login': denied: requested access to the resource is denied`,
    ],
    ['no DNS', 'Get "https://r.example/v2/": dial tcp: lookup r.example on 10.0.0.1:53: no such host'],
    [
      'connection refused',
      'Get "https://r.example/v2/": dial tcp 127.0.0.1:443: connect: connection refused',
    ],
    ['connection reset', 'read tcp 10.0.0.2:4321->10.0.0.3:443: read: connection reset by peer'],
    ['a timeout', 'net/http: request canceled while waiting for connection (Client.Timeout exceeded)'],
    ['a TLS failure', 'Get "https://r.example/v2/": net/http: TLS handshake timeout'],
    ['an untrusted certificate', 'x509: certificate signed by unknown authority'],
    ['a rate limit', 'toomanyrequests: You have reached your pull rate limit.'],
    ['a server error', 'received unexpected HTTP status: 503 Service Unavailable'],
    ['a gateway', 'error pulling image configuration: unexpected status code 502 Bad Gateway'],
    ['a token server that is down', 'denied: failed to fetch token: unexpected status: 500'],
    ['a connection that ended', 'unexpected EOF'],
    ['words nobody knows', 'something else went wrong'],
  ])('counts against the registry: %s', (_, message) => {
    expect(classifyPull(image, message)).toBe('Registry');
  });

  it('counts against the package when Docker Hub hides it, which everybody asks without a login', () => {
    const said = (name: string): string =>
      `pull access denied for ${name}, repository does not exist or may require 'docker login': denied`;
    for (const name of ['nextcloud/gone', 'docker.io/nextcloud/gone', 'gone']) {
      expect(classifyPull(`${name}:1`, said('x'))).toBe('missing');
    }
  });

  it('counts against the disk when it is full, whatever else is said', () => {
    const message = `failed to register layer: Error processing tar file: write /x: no space left on device`;
    expect(classifyPull(image, message)).toBe('Disk');
  });

  it('is not judged by words in the image name', () => {
    expect(classifyPull('x509/timeout:1', 'manifest for x509/timeout:1 not found: manifest unknown')).toBe(
      'missing',
    );
  });
});

describe('the repository of an image', () => {
  it.each([
    ['redis', 'redis'],
    ['redis:7', 'redis'],
    ['docker.io/library/redis:7', 'redis'],
    ['index.docker.io/team/app', 'team/app'],
    ['r.example:5000/team/app:1.2', 'r.example:5000/team/app'],
    ['r.example:5000/team/app', 'r.example:5000/team/app'],
    [`team/app:1@sha256:${'a'.repeat(64)}`, 'team/app'],
  ])('of %s is %s', (image, repository) => {
    expect(repositoryOf(image)).toBe(repository);
  });
});

describe('the name that the engine lists for an image', () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  it.each([
    ['redis', 'redis:latest'],
    ['docker.io/library/redis:7', 'redis:7'],
    ['r.example:5000/team/app', 'r.example:5000/team/app:latest'],
    ['r.example:5000/team/app:1.2', 'r.example:5000/team/app:1.2'],
    [`team/app:1@${digest}`, `team/app@${digest}`],
  ])('of %s is %s', (image, name) => {
    expect(shortName(image)).toBe(name);
  });
});
