import { expect, test } from 'vitest';
import type { Api } from '../../forge/api.ts';
import { createForge } from '../../forge/gitea.ts';

/** What is made of what Gitea answers, where that is more than to read it. */

const AT = { owner: 'mirrors', name: 'ghost' };
const SETTINGS = {
  url: 'https://git.example.org',
  token: 'token',
  tokenFile: '/etc/token',
  signal: new AbortController().signal,
};

/** A pull request to which this happened, at these times. */
function forgeWith(...happened: [type: string, at: string][]) {
  const events = happened.map(([type, at], index) => ({
    id: index + 1,
    type,
    body: '',
    created_at: at,
    html_url: '',
  }));
  const api: Api = {
    async ask({ query }, schema) {
      const page = query?.['page'] === 1 ? events : [];
      return { status: 200, body: schema.parse(page), total: null };
    },
  };
  return createForge(SETTINGS, api);
}

const COMMENTED = new Date('2026-11-29T12:00:00.000Z');

test.each<[string, [string, string][], boolean]>([
  ['a push after the comment', [['pull_push', '2026-11-29T12:00:05Z']], true],
  ['one in its second', [['pull_push', '2026-11-29T12:00:00Z']], true],
  ['one before it', [['pull_push', '2026-11-29T11:59:59Z']], false],
  // Gitea tells of no push while a pull request is closed.
  [
    'that it was closed, perhaps pushed to, and opened again',
    [
      ['close', '2026-11-29T12:00:05Z'],
      ['reopen', '2026-11-29T12:00:09Z'],
    ],
    true,
  ],
  ['that this was so before the comment', [['reopen', '2026-11-29T11:00:00Z']], false],
  ['that somebody wrote something', [['comment', '2026-11-29T12:00:09Z']], false],
])('whether a head may be another one since a comment: %s', async (_what, happened, may) => {
  expect(await forgeWith(...happened).pushedSince(AT, 12, COMMENTED)).toBe(may);
});
