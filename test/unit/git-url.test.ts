import { describe, expect, test } from 'vitest';
import { checkGitUrl } from '../../domain/git-url.ts';

describe('a place that git may be asked about', () => {
  test.each([
    'https://git.example.org/coop-cloud/hedgedoc',
    'http://127.0.0.1:3000/mirrors/hedgedoc.git',
    'https://[::1]:8443/x.git',
    'git://git.example.org/hedgedoc.git',
    'ssh://git@git.example.org:2222/coop-cloud/hedgedoc.git',
    'ssh://git.example.org/~someone/hedgedoc',
    'git@git.example.org:coop-cloud/hedgedoc.git',
  ])('%s', (text) => {
    expect(checkGitUrl(text)).toEqual({ ok: true, url: text, credentials: null, folder: null });
  });

  test('an absolute path and a file URL name a folder on this host', () => {
    expect(checkGitUrl('/srv/mirrors/a b.git')).toMatchObject({ folder: '/srv/mirrors/a b.git' });
    expect(checkGitUrl('file:///srv/a%20b.git')).toMatchObject({
      url: 'file:///srv/a%20b.git',
      folder: '/srv/a b.git',
    });
  });

  test('credentials are taken out of what may be shown', () => {
    expect(checkGitUrl('https://bot:p%40ss:word@git.example.org:3000/m/ghost.git')).toEqual({
      ok: true,
      url: 'https://git.example.org:3000/m/ghost.git',
      credentials: { origin: 'https://git.example.org:3000', username: 'bot', password: 'p@ss:word' },
      folder: null,
    });
    expect(checkGitUrl('https://token@git.example.org/m/ghost.git')).toMatchObject({
      credentials: { username: 'token', password: '' },
    });
  });
});

describe('a text that git would read more into', () => {
  test.each([
    ['', 'an empty text'],
    ['relative/path', 'a relative path'],
    ['../x', 'a relative path upwards'],
    ['host:path', 'a host without a user, which is also how a transport is written'],
    ['ext::sh -c id', 'a command as transport'],
    ['fd::17', 'a file descriptor as transport'],
    ['foo::https://git.example.org/x', 'a remote helper'],
    ['user@host::x', 'a remote helper behind a user'],
    ['--upload-pack=id', 'an option'],
    ['-oProxyCommand=id:x', 'an option as scp-like host'],
    ['git@-oProxyCommand=id:x', 'an option of ssh as scp-like host'],
    ['-git@host:x', 'an option of ssh as user'],
    ['git@host:-x', 'an option as remote path'],
    ['ssh://-oProxyCommand=id/x', 'an option of ssh as host'],
    ['ssh://git@-oProxyCommand=id/x', 'an option of ssh as host behind a user'],
    ['ssh://-l@host/x', 'an option of ssh as user in a URL'],
    ['ssh://git:secret@host/x', 'a password that ssh would not use'],
    ['user:secret@host:path', 'a password in the scp-like form'],
    ['file://host/x', 'a file on another host'],
    ['file:///a%zz', 'a broken escape in a file URL'],
    ['ftp://host/x', 'another protocol'],
    ['HTTPS://host/x', 'a scheme that git would look up as a helper'],
    ['https:///x', 'no host'],
    ['https://host', 'no path'],
    ['https://host\\@evil/x', 'a backslash, read differently by different parsers'],
    ['https://a@b@host/x', 'two users'],
    ['https://host/x?y=1', 'a query'],
    ['https://host/x#y', 'a fragment'],
    ['https://bot:%zz@host/x', 'a broken escape in a password'],
    ['https://host/x\n--upload-pack=id', 'a line break'],
    ['git://host/x%0ahost=evil', 'an encoded line break'],
    ['https://host/\u202egit.x', 'text that turns the writing direction'],
    ['/srv/\u0000x', 'a NUL'],
    [`https://host/${'x'.repeat(2000)}`, 'an endless text'],
  ])('%j is refused: %s', (text) => {
    expect(checkGitUrl(text)).toEqual({ ok: false, reason: expect.any(String) });
  });

  test('a refusal does not quote the text', () => {
    const refused = checkGitUrl('https://bot:hunter2@host/x?y');
    expect(JSON.stringify(refused)).not.toContain('hunter2');
  });
});
