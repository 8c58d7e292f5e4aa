import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { beforeEach, describe, expect, test } from 'vitest';
import { closeMerged } from '../../activities/pull-requests.ts';
import { Fault } from '../../domain/fault.ts';
import type { Comment, Forge, PullRequest } from '../../forge/forge.ts';
import { BOUNDARY_CHANNEL, type Passed } from '../../host/machine/boundary.ts';

/** What a sync does about pull requests, on a forge that remembers. */

const MIRROR = { recipe: 'ghost', repository: { owner: 'mirrors', name: 'ghost' }, main: 'a'.repeat(40) };
const BOT = 'recipe-sweep';

let open: PullRequest[];
let comments: Map<number, Comment[]>;
let reopened: Set<number>;
/** Commits whose merge changes nothing. */
let merged: Set<string>;
/** What fails, once: `<function> <number>`. */
let failing: Map<string, Error>;
let asked: string[];

beforeEach(() => {
  open = [];
  comments = new Map();
  reopened = new Set();
  merged = new Set();
  failing = new Map();
  asked = [];
});

function propose(number: number, more: Partial<PullRequest> = {}, isMerged = true): PullRequest {
  const commit = String(number).padStart(40, '0');
  if (isMerged) merged.add(more.head?.commit ?? commit);
  const one: PullRequest = {
    number,
    title: `number ${number}`,
    state: 'open',
    isDraft: false,
    head: { commit, isFork: false },
    base: 'main',
    url: `https://git.example.org/mirrors/ghost/pulls/${number}`,
    ...more,
  };
  open.push(one);
  return one;
}

function say(number: number, author: string, body: string): Comment {
  const under = comments.get(number) ?? [];
  const comment = {
    id: number * 100 + under.length,
    pullRequest: number,
    author,
    body,
    created: '2026-11-29T12:00:00.000Z',
    edited: false,
    url: '',
  };
  comments.set(number, [...under, comment]);
  return comment;
}

function step(what: string, number: number): void {
  asked.push(`${what} ${number}`);
  const error = failing.get(`${what} ${number}`);
  failing.delete(`${what} ${number}`);
  if (error) throw error;
}

const never = (): never => {
  throw new Error('not asked for here');
};
const forge: Forge = {
  login: async () => BOT,
  ensureRepository: never,
  pullRequest: never,
  async openPullRequests(_, most) {
    step('list', most);
    return open.filter(({ state }) => state === 'open');
  },
  async closePullRequest(_, number) {
    step('close', number);
    const one = open.find((each) => each.number === number && each.state === 'open');
    if (one) one.state = 'closed';
    return one !== undefined;
  },
  async wasReopened(_, number) {
    return reopened.has(number);
  },
  pushedSince: never,
  comment: never,
  commentsSince: never,
  async commentsOf(_, number) {
    return comments.get(number) ?? [];
  },
  async addComment(_, number, body) {
    step('comment', number);
    return say(number, BOT, body);
  },
  editComment: never,
  deleteComment: never,
  mayWrite: never,
  setStatus: never,
};
const mirrors = {
  async bringCommit(_: string, { commit, pullRequest }: { commit: string; pullRequest: number | null }) {
    step('bring', pullRequest ?? 0);
    return commit !== 'gone';
  },
  async mergesToNothing(_: string, commit: string) {
    return merged.has(commit);
  },
};

const sync = (): Promise<string[]> => closeMerged(forge, mirrors, MIRROR);
const stillOpen = (): number[] => open.filter(({ state }) => state === 'open').map(({ number }) => number);
const said = (number: number): string[] => (comments.get(number) ?? []).map(({ body }) => body);

describe('an open pull request', () => {
  test('that main has by now is closed, with one comment that names the commit', async () => {
    propose(1);
    expect(await sync()).toEqual(['pull request 1 was closed: main has it']);
    expect(stillOpen()).toEqual([]);
    expect(said(1)).toEqual([expect.stringContaining(MIRROR.main)]);
    expect(said(1)[0]).toMatch(/^<!-- recipe-sweep: closed -->\n/);
  });

  test.each([
    ['would change something', {}, false],
    ['is a draft', { isDraft: true }, true],
    ['is from a fork', { head: { commit: '2', isFork: true } }, true],
    ['is for another branch', { base: 'stable' }, true],
    ['was pushed to since', { head: { commit: 'gone', isFork: false } }, true],
  ])('that %s stays as it is', async (_, more, isMerged) => {
    propose(2, more, isMerged);
    expect(await sync()).toEqual([]);
    expect(stillOpen()).toEqual([2]);
    expect(said(2)).toEqual([]);
  });

  test('that somebody opened again after we closed it is left alone', async () => {
    const one = propose(3);
    await sync();
    one.state = 'open';
    reopened.add(3);
    expect(await sync()).toEqual([]);
    expect(stillOpen()).toEqual([3]);
    expect(said(3)).toHaveLength(1);
  });

  test('that was once opened again, not after us, is closed', async () => {
    propose(3);
    reopened.add(3);
    await sync();
    expect(stillOpen()).toEqual([]);
  });

  test('that somebody closes meanwhile is no error, and no word of ours', async () => {
    const one = propose(4);
    const comment = forge.addComment.bind(forge);
    forge.addComment = async (...given) => {
      one.state = 'closed';
      return comment(...given);
    };
    try {
      expect(await sync()).toEqual([]);
    } finally {
      forge.addComment = comment;
    }
  });

  test('is not taken for told by the words of others', async () => {
    propose(5);
    say(5, 'stranger', '<!-- recipe-sweep: closed -->\nnothing to see');
    say(5, BOT, 'I quote: <!-- recipe-sweep: closed -->');
    await sync();
    expect(said(5)).toHaveLength(3);
    expect(stillOpen()).toEqual([]);
  });
});

describe('exactly one comment', () => {
  test('after a crash between the comment and the end', async () => {
    propose(6);
    const crash = new Error('a crash');
    failing.set('close 6', crash);
    const passed: string[] = [];
    const listen = (message: unknown): void => void passed.push((message as Passed).boundary);
    subscribe(BOUNDARY_CHANNEL, listen);
    await expect(sync()).rejects.toBe(crash);
    expect(await sync()).toEqual(['pull request 6 was closed: main has it']);
    unsubscribe(BOUNDARY_CHANNEL, listen);
    expect(passed).toEqual(['mirror-sync.after-comment', 'mirror-sync.after-close']);
    expect(said(6)).toHaveLength(1);
    expect(await sync()).toEqual([]);
  });

  test('where the forge took it and did not say so', async () => {
    propose(7);
    const comment = forge.addComment.bind(forge);
    forge.addComment = async (...given) => {
      await comment(...given);
      throw new Fault('Forge', 'no whole answer');
    };
    try {
      expect(await sync()).toEqual(['pull request 7 was left open: no whole answer']);
    } finally {
      forge.addComment = comment;
    }
    expect(await sync()).toEqual(['pull request 7 was closed: main has it']);
    expect(said(7)).toHaveLength(1);
  });
});

describe('a fault', () => {
  test.each(['Forge', 'BadConfig', 'MirrorSync', 'BadInput'] as const)(
    '%s of one costs the others nothing, and is a note',
    async (type) => {
      propose(1);
      propose(2);
      failing.set('bring 1', new Fault(type, 'what went\nwrong'));
      expect(await sync()).toEqual([
        'pull request 1 was left open: what went wrong',
        'pull request 2 was closed: main has it',
      ]);
    },
  );

  test('of the list is a note', async () => {
    propose(1);
    failing.set('list 100', new Fault('Forge', 'away'));
    expect(await sync()).toEqual(['pull requests were not looked at: away']);
  });

  test('of several ends it: the forge is away', async () => {
    for (let number = 1; number <= 9; number++) {
      propose(number);
      failing.set(`bring ${number}`, new Fault('Forge', 'away'));
    }
    const notes = await sync();
    expect(notes).toHaveLength(4);
    expect(notes[3]).toBe('the other pull requests were not looked at');
    expect(asked).toHaveLength(4);
  });

  test.each([new Fault('Disk', 'full'), new Error('cancelled')])(
    'of this host is the step’s: %s',
    async (error) => {
      propose(1);
      failing.set('bring 1', error);
      await expect(sync()).rejects.toBe(error);
    },
  );
});
