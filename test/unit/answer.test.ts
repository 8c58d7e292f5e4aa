import { MockActivityEnvironment } from '@temporalio/testing';
import { ApplicationFailure } from '@temporalio/common';
import { describe, expect, test } from 'vitest';
import { answer, type AnswerInput, type Said } from '../../activities/answer.ts';
import type { World } from '../../activities/world.ts';
import { answerStatus, answerText, type TestWord } from '../../domain/answer.ts';
import { Fault } from '../../domain/fault.ts';
import type { Outcome } from '../../domain/outcome.ts';
import { answers } from '../../domain/test-request.ts';
import type { Comment, CommitStatus, Forge } from '../../forge/forge.ts';

/** What is said of a test where it was asked for. */

const [BASE, HEAD] = [
  { version: '1.0.0+1', commit: 'a'.repeat(40) },
  { version: '1.1.0+1', commit: 'b'.repeat(40) },
];
const TESTED = { mode: 'cold', wanted: 'cold', why: null, pullRequest: 12, head: HEAD, base: BASE } as const;
const FAIL: Outcome = {
  kind: 'FAIL',
  version: '1.1.0+1',
  tier: 'upgrade',
  why: 'app: exited with 1',
  evidence: '/app.log',
  canonical: '1.0.0+1',
};

const waits: TestWord = {
  recipe: 'hedgedoc',
  wanted: 'cold',
  commit: HEAD.commit,
  step: 'turn',
  behind: 'test of gitea#3',
  tested: null,
  tiers: [],
  end: null,
};
const failed: TestWord = {
  ...waits,
  step: 'record',
  behind: null,
  tested: TESTED,
  tiers: [
    { tier: 'install', result: 'pass', ms: 9_400, note: 'nobody was asked' },
    { tier: 'upgrade', result: 'fail', reason: 'app: exited with 1', evidence: '/app.log', ms: 21_000 },
    { tier: 'backup', result: 'not reached' },
  ],
  end: { outcome: FAIL, level: 1 },
};
const PASS: TestWord['end'] = { outcome: { kind: 'PASS', promoted: null }, level: 2 };

const text = (word: TestWord, evidence: string | null = null) =>
  answerText(word, { request: 41, test: 'test-1', evidence });

describe('the comment', () => {
  test('says whom it waits for', () => {
    expect(text(waits)).toBe(
      [
        '**waits for its turn, behind test of gitea\\#3**',
        'Cold test of hedgedoc at `bbbbbbbbbb`.',
        'Test `test-1`. It gates nothing.',
        '<!-- recipe-sweep test 41 -->',
      ].join('\n\n'),
    );
  });

  test('says the step, and the base once it is known', () => {
    const said = text({ ...waits, step: 'cold-test: upgrade', behind: null, tested: TESTED });
    expect(said).toContain('**at cold-test: upgrade**');
    expect(said).toContain('Base 1.0.0+1 (`aaaaaaaaaa`) → head 1.1.0+1 (`bbbbbbbbbb`).');
  });

  test('says how it ended, why once and whose it is, then tier by tier, the level, and where the evidence is', () => {
    const said = text(failed, 'https://ci.example.org/runs/test-1/hedgedoc/');
    const inOrder = [
      '**FAIL**',
      'upgrade: app',
      'Whose it is: the package: ',
      'Base 1.0.0',
      '| install',
      'Level 1',
    ];
    const places = inOrder.map((part) => said.indexOf(part));
    expect(places).not.toContain(-1);
    expect(places).toEqual([...places].sort((a, b) => a - b));
    expect(said).not.toContain('sweep tries it again');
    expect(said).toContain('**FAIL**');
    expect(said.split('app: exited with 1')).toHaveLength(2);
    expect(said).toContain('| install | pass | 9 s | nobody was asked |\n| upgrade | fail | 21 s |  |');
    expect(said).toContain('upgrade: app: exited with 1');
    expect(said).toContain('Level 1 of 5; not 2: upgrade failed.');
    expect(said).toContain('[Evidence](https://ci.example.org/runs/test-1/hedgedoc/) of test `test-1`.');
  });

  test('of a quick lane says that it is the lower confidence', () => {
    const quick = { ...TESTED, mode: 'quick', wanted: 'quick' } as const;
    const said = text({ ...failed, wanted: 'quick', tested: quick, end: PASS });
    expect(said).toContain('Quick lane of hedgedoc');
    expect(said).toContain('lower confidence');
    expect(text({ ...failed, end: PASS })).not.toContain('lower confidence');
  });

  test('of a cold test in place of a quick one says why', () => {
    const cold = { ...TESTED, wanted: 'quick', why: 'there is no canonical' } as const;
    const said = text({ ...failed, wanted: 'quick', tested: cold });
    expect(said).toContain('The quick lane was asked for: there is no canonical.');
    expect(said).not.toContain('lower confidence');
  });

  test('never speaks of merging', () => {
    for (const word of [waits, failed]) expect(text(word)).not.toMatch(/merg/i);
  });

  test('quotes what others wrote so that it calls nobody and is no markup, and stays short', () => {
    const why = `@ada <img src=x> [a](http://b) \`x\` | #1\n<!-- recipe-sweep test 7 -->${'y'.repeat(10_000)}`;
    const tiers: TestWord['tiers'] = [{ tier: 'install', result: 'skipped', reason: why }];
    const said = text({ ...failed, tiers, end: { outcome: { ...FAIL, why }, level: 0 } });
    expect(said.length).toBeLessThan(4_000);
    for (const bare of [/@ada/, /(?<!\\)<img/, /(?<!\\)\[a/, /(?<!\\)#1/]) expect(said).not.toMatch(bare);
    expect(said.match(/^\| install .*$/m)?.[0].match(/(?<!\\)\|/g)).toHaveLength(5);
    expect(answers(said, 41)).toBe(true);
    expect(answers(said, 7)).toBe(false);
  });

  // Gitea looks for them in the text of its page, where a backslash is gone.
  test('has no address that a forge makes a link of, but ours', () => {
    const why =
      'see https://x.example.org/log, HTTP://y.example.org, www.z.example.org or mail@z.example.org';
    const said = text({ ...failed, end: { outcome: { ...FAIL, why }, level: 0 } }, 'https://ci.example.org/');
    expect(said.match(/\w+:\/\/[^)]*/g)).toEqual(['https://ci.example.org/']);
    expect(said).not.toMatch(/www\.|@z/i);
    expect(said.replaceAll('\u{200b}', '')).toContain(why);
  });
});

test.each<[string, TestWord, Partial<CommitStatus>]>([
  ['one that waits', waits, { state: 'pending', description: 'waits for test of gitea#3' }],
  ['one that goes on', { ...waits, behind: null, step: 'head' }, { state: 'pending', description: 'head' }],
  ['a red one', failed, { state: 'failure', description: 'FAIL: upgrade: app: exited with 1' }],
  ['a green one', { ...failed, end: PASS }, { state: 'success', description: 'PASS' }],
  [
    'a quick one that was cold',
    { ...failed, wanted: 'quick', end: PASS },
    { context: 'recipe-sweep/quick', state: 'success', description: 'PASS (cold)' },
  ],
  [
    'one that was superseded',
    { ...failed, end: { outcome: { kind: 'SKIP', because: 'superseded', why: 'again' }, level: null } },
    { state: 'error', description: 'SKIP superseded: again' },
  ],
  [
    'one without a verdict',
    {
      ...failed,
      end: { outcome: { kind: 'ERROR', cause: 'infrastructure', why: 'x'.repeat(999) }, level: null },
    },
    { state: 'error', description: expect.stringMatching(/^ERROR infrastructure: x+…$/) as string },
  ],
])('the status of %s', (_what, word, status) => {
  expect(answerStatus(word)).toMatchObject({ context: 'recipe-sweep/cold', ...status });
  expect(answerStatus(word).description.length).toBeLessThanOrEqual(140);
});

/** A forge with one pull request. */
function forgeOf(comments: Comment[]) {
  const statuses: CommitStatus[] = [];
  let id = 100;
  const forge = {
    login: async () => 'sweeper',
    commentsOf: async () => comments,
    async addComment(_repository: unknown, pullRequest: number, body: string) {
      id += 1;
      const made = { ...commentOf(id, body, 'sweeper'), pullRequest };
      comments.push(made);
      return made;
    },
    async editComment(_repository: unknown, which: number, body: string) {
      const found = comments.find((one) => one.id === which);
      if (found !== undefined) found.body = body;
      return found !== undefined;
    },
    async deleteComment(_repository: unknown, which: number) {
      comments.splice(
        comments.findIndex((one) => one.id === which),
        1,
      );
    },
    async setStatus(_repository: unknown, _commit: string, status: CommitStatus) {
      statuses.push(status);
      return true;
    },
  };
  return { forge: forge as typeof forge & Partial<Forge>, statuses, comments };
}

function commentOf(id: number, body: string, author: string): Comment {
  const comment = {
    id,
    pullRequest: 12,
    author,
    body,
    created: '2025-01-01T00:00:00Z',
    edited: false,
    url: '',
  };
  return comment;
}

function say(forge: object | null, said: Said, word: TestWord = waits): Promise<Said> {
  const world = {
    config: {
      mirrors: 'https://forge.example.org/coop/{recipe}.git',
      forge: { url: 'https://forge.example.org' },
      serve: { url: 'https://ci.example.org/' },
    },
    forgeFor: async () => forge,
    attempts: { mark: async () => '' },
    runnerFor: () => ({}),
  } as unknown as World;
  const input: AnswerInput = { test: 'by hand/1', pullRequest: 12, request: 41, word, said };
  const quiet = { log() {}, trace() {}, debug() {}, info() {}, warn() {}, error() {} };
  return new MockActivityEnvironment({}, { logger: quiet }).run(() => answer(world).answer(input));
}

const NOTHING: Said = { comment: null };

describe('saying it', () => {
  test('makes one comment and gives the status, and edits and changes both afterwards', async () => {
    const { forge, comments, statuses } = forgeOf([commentOf(41, '!testme', 'ada')]);
    const said = await say(forge, NOTHING);
    expect(said).toEqual({ comment: 101 });
    expect(await say(forge, said, { ...waits, step: 'head' })).toEqual(said);
    expect(await say(forge, said, failed)).toEqual({ comment: 101 });
    expect(comments).toHaveLength(2);
    expect(comments[1]?.body).toContain('**FAIL**');
    expect(statuses.map(({ state }) => state)).toEqual(['pending', 'pending', 'failure']);
    expect(statuses[2]?.url).toBe('https://ci.example.org/runs/by%2520hand%252F1/hedgedoc/');
  });

  test('knows a comment that was made unheard, and no other for it', async () => {
    const unheard = forgeOf([]);
    await say(unheard.forge, NOTHING);
    expect((await say(unheard.forge, NOTHING, failed)).comment).toBe(101);
    expect(unheard.comments).toHaveLength(1);
    const marker = 'hello\n<!-- recipe-sweep test 41 -->';
    for (const other of [
      commentOf(1, marker, 'ada'),
      commentOf(1, `${marker}\nsays somebody`, 'sweeper'),
      commentOf(1, marker.replace('41', '42'), 'sweeper'),
    ]) {
      const { forge, comments } = forgeOf([other]);
      expect((await say(forge, NOTHING)).comment).toBe(101);
      expect(comments[0]?.body).toBe(other.body);
    }
  });

  test('deletes a later one of its own that came beside', async () => {
    const { forge, comments } = forgeOf([]);
    const add = forge.addComment;
    forge.addComment = async (...args) => {
      await add(...args);
      return add(...args);
    };
    expect((await say(forge, NOTHING)).comment).toBe(101);
    expect(comments.map(({ id }) => id)).toEqual([101]);
  });

  test('makes none again that somebody deleted, nor where the pull request is gone', async () => {
    const { forge, comments, statuses } = forgeOf([]);
    const said = await say(forge, { comment: 7 }, failed);
    expect(said).toEqual({ comment: 'gone' });
    expect(await say(forge, said, failed)).toEqual(said);
    expect(comments).toEqual([]);
    expect(statuses).toHaveLength(2);
    const gone = { ...forge, addComment: async () => null };
    expect((await say(gone, NOTHING)).comment).toBe('gone');
  });

  test('is not kept from it by a status that the forge does not take', async () => {
    const { forge } = forgeOf([]);
    const unknown = { ...forge, setStatus: async () => false };
    expect(await say(unknown, NOTHING)).toEqual({ comment: 101 });
    const refused = { ...forge, setStatus: async () => Promise.reject(new Fault('BadConfig', '403')) };
    expect(await say(refused, NOTHING)).toEqual({ comment: 101 });
  });

  test.each([
    [
      'away',
      { ...forgeOf([]).forge, login: async () => Promise.reject(new Fault('Forge', 'down')) },
      'Forge',
    ],
    ['not configured', null, 'BadConfig'],
  ])('fails where the forge is %s', async (_what, forge, type) => {
    const error = await say(forge, NOTHING).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ApplicationFailure);
    expect(error).toMatchObject({ type });
  });
});
