import { describe, expect, test } from 'vitest';
import type { Api } from '../../forge/api.ts';
import { createForge } from '../../forge/gitea.ts';

/** Who may write to a mirror, as Gitea 1.26 answers whoever asks. */

const AT = { owner: 'mirrors', name: 'gitea' };
const PERMISSION = 'repos/mirrors/gitea/collaborators/anna/permission';
const TEAMS = 'repos/mirrors/gitea/teams';

type Said = Record<string, object | 403 | 405>;

/** What is not said is not there. */
function forgeThatSays(said: Said) {
  const api: Api = {
    async ask({ path, taken }, schema) {
      const answer = said[path.join('/')] ?? 404;
      if (typeof answer === 'object') return { status: 200, body: schema.parse(answer), total: null };
      if (answer !== 404) expect(taken).toContain(answer);
      return { status: answer, body: null, total: null };
    },
  };
  const { signal } = new AbortController();
  return createForge({ url: 'https://git.example.org', token: 't', tokenFile: '/etc/token', signal }, api);
}

const mayWrite = (said: Said): Promise<boolean> => forgeThatSays(said).mayWrite(AT, 'anna');

const OWNERS = { id: 1, name: 'Owners', permission: 'owner', units_map: { 'repo.code': 'owner' } };
const WRITERS = { id: 2, name: 'maintainers', permission: 'read', units_map: { 'repo.code': 'write' } };
const READERS = { id: 3, name: 'readers', permission: 'write', units_map: { 'repo.code': 'read' } };

describe('who may write to a mirror', () => {
  test.each([
    ['write', true],
    ['admin', true],
    ['owner', true],
    ['read', false],
    ['none', false],
  ])('is a collaborator with the permission %s: %s', async (permission, may) => {
    expect(await mayWrite({ [PERMISSION]: { permission }, [TEAMS]: 405 })).toBe(may);
  });

  test('is nobody who is gone', async () => {
    expect(await mayWrite({ [TEAMS]: [WRITERS], 'teams/2/members/anna': {} })).toBe(false);
    expect(await forgeThatSays({}).mayWrite(AT, '')).toBe(false);
  });

  test('is a member of a team that writes, and of no other', async () => {
    const said: Said = { [PERMISSION]: { permission: 'none' }, 'teams/1': OWNERS, 'teams/2': WRITERS };
    const teams = { ...said, [TEAMS]: [OWNERS, WRITERS, READERS] };
    expect(await mayWrite(teams)).toBe(false);
    expect(await mayWrite({ ...teams, 'teams/3/members/anna': {} })).toBe(false);
    expect(await mayWrite({ ...teams, 'teams/2/members/anna': {} })).toBe(true);
  });

  test.each([
    ['an account that is in another team', { 'teams/2/members/anna': 403, 'teams/2': 403 }],
    ['an account that is not in the organisation, by 404 for all of it', {}],
  ] satisfies [string, Said][])('is not guessed by %s', async (_, said) => {
    const teams = { [PERMISSION]: { permission: 'none' }, [TEAMS]: [WRITERS], ...said };
    await expect(mayWrite(teams)).rejects.toMatchObject({
      type: 'BadConfig',
      message: expect.stringMatching(
        /team maintainers of mirrors: put it into the team, or make it an owner/,
      ) as string,
    });
  });

  test('is known by one team that says so, whatever another one hides', async () => {
    const teams: Said = { [PERMISSION]: { permission: 'none' }, [TEAMS]: [OWNERS, WRITERS] };
    expect(await mayWrite({ ...teams, 'teams/2/members/anna': {} })).toBe(true);
  });
});
