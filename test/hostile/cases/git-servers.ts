import type { RequestListener, ServerResponse } from 'node:http';
import type { HostileCase } from './hostile-case.ts';

/** A server that an upstream URL leads to. */
export interface ServerCase extends HostileCase {
  /** What it does; `elsewhere` is another server, which notes what it is told. */
  answer(elsewhere: string): RequestListener;
  /** The upstream URL holds a user and a token for the server. */
  credentials?: true;
}

const COMMIT = 'a'.repeat(40);

/** The refs that a server of git's smart protocol says it has. */
function advertise(response: ServerResponse, refs: readonly string[]): void {
  const line = (text: string): string => `${(text.length + 4).toString(16).padStart(4, '0')}${text}`;
  const lines = refs.map((ref, index) => line(`${COMMIT} ${ref}${index === 0 ? '\0agent=x' : ''}\n`));
  response
    .writeHead(200, { 'content-type': 'application/x-git-upload-pack-advertisement' })
    .end(Buffer.from(`${line('# service=git-upload-pack\n')}0000${lines.join('')}0000`, 'latin1'));
}

export const SERVER_CASES: readonly ServerCase[] = [
  {
    name: 'server-line-break',
    hostile: 'a server that advertises a tag with a line break and another main after it',
    answer: () => (_, response) => {
      advertise(response, ['refs/heads/main', `refs/tags/1.0.0+1\n${'b'.repeat(40)}\trefs/heads/main`]);
    },
    says: 'upstream',
  },
  {
    name: 'server-option-ref',
    hostile: 'a server that advertises refs that climb out of a folder',
    answer: () => (_, response) => {
      advertise(response, ['refs/heads/main', 'refs/tags/../../../config', 'refs/heads/../../hooks/x']);
    },
    says: 'upstream',
  },
  {
    name: 'server-endless-refs',
    hostile: 'a server that advertises a million refs',
    answer: () => (_, response) => {
      advertise(
        response,
        Array.from({ length: 1_000_000 }, (_each, index) => `refs/tags/${index}`),
      );
    },
    says: 'printed more than',
  },
  {
    name: 'server-escapes',
    hostile: 'a server whose error steers a terminal',
    answer: () => (_, response) => {
      response
        .writeHead(403, { 'content-type': 'text/plain' })
        .end('\u001b[2J\u001b]0;owned\u0007\u202esdrawkcab\n');
    },
    says: 'reading upstream',
  },
  {
    name: 'server-echo',
    hostile: 'a server that says the token it was given',
    credentials: true,
    answer: () => (request, response) => {
      const { authorization } = request.headers;
      const said = Buffer.from(authorization?.replace('Basic ', '') ?? '', 'base64').toString();
      response
        .writeHead(authorization ? 403 : 401, {
          'content-type': 'text/plain',
          'www-authenticate': 'Basic realm="x"',
        })
        .end(`nobody is called ${said} (${authorization})\n`);
    },
    says: '***',
  },
  {
    name: 'server-redirect',
    hostile: 'a server that sends git, and its token, to another one',
    credentials: true,
    answer: (elsewhere) => (request, response) => {
      response.writeHead(302, { location: `${elsewhere}${request.url}` }).end();
    },
    says: 'reading upstream',
  },
  {
    name: 'server-redirect-file',
    hostile: 'a server that sends git to a file of this host',
    answer: () => (_, response) => {
      response.writeHead(302, { location: 'file:///etc/passwd' }).end();
    },
    says: 'reading upstream',
  },
  {
    name: 'server-no-git',
    hostile: 'a server that answers with a page of ten megabytes',
    answer: () => (_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html>'.repeat(1_700_000));
    },
    says: 'has no branch main',
  },
];
