import { beforeEach, describe, expect, test } from 'vitest';
import { Fault } from '../../domain/fault.ts';
import { answerMarker, answers, requestedTest } from '../../domain/test-request.ts';
import { consider, type Became, type Starter } from '../../serve/requests.ts';
import type { TestInput } from '../../workflows/protocol.ts';
import { fakeForge, HEAD, OURS, type FakeForge } from './fake-forge.ts';

/** What a comment under a pull request becomes. */

describe('a comment asks for', () => {
  test.each([
    ['!testme', 'cold'],
    ['!testme --quick', 'quick'],
    ['!testme\n', 'cold'],
    ['\n\n!testme\n\n', 'cold'],
    ['!testme \t', 'cold'],
    [' \n!testme --quick  \n\t\n', 'quick'],
    ['\r\n!testme\r\n\r\n', 'cold'],
    ['!testme --quick\r', 'quick'],
  ])('%j: a test', (body, mode) => {
    expect(requestedTest(body)).toBe(mode);
  });

  test.each([
    '',
    'testme',
    '!testmexyz',
    '!testme please',
    '!Testme',
    '!TESTME',
    '!testme--quick',
    '!testme  --quick',
    '!testme\t--quick',
    '!testme --quick --quick',
    '!testme --slow',
    '!testme\n--quick',
    '!testme\n!testme',
    '!testme\nthanks',
    'please\n!testme',
    '> !testme',
    '>!testme',
    '- !testme',
    '    !testme',
    '\t!testme',
    ' !testme',
    '`!testme`',
    '```\n!testme\n```',
    '~~~\n!testme\n~~~',
    '<!-- -->\n!testme',
    '@bot !testme',
    '!testme\u200b',
    '\u200b!testme',
    '\u00a0!testme',
    '!testme\u2028',
    '!testme\u2028!testme --quick',
    '！testme',
    'toString',
    '__proto__',
  ])('%j: nothing', (body) => {
    expect(requestedTest(body)).toBeNull();
  });
});

test('an answer is known by its marker, at its end, and by the whole number', () => {
  expect(answers(`Nothing.\n\n${answerMarker(12)}\n`, 12)).toBe(true);
  expect(answers(`Nothing.\n\n${answerMarker(123)}`, 12)).toBe(false);
  expect(answers(`${answerMarker(12)} quoted`, 12)).toBe(false);
});

const AT = new Date('2026-11-29T12:00:00Z');

let forge: FakeForge;
let started: { id: string; input: TestInput }[];
let starter: Starter;
/** What happens on the forge between the answer that says the head and the one that says of pushes. */
let untilTold: () => Promise<void>;

beforeEach(() => {
  untilTold = async () => undefined;
  forge = fakeForge();
  started = [];
  starter = {
    isThere: async (id) => started.some((one) => one.id === id),
    async start(id, input) {
      if (started.some((one) => one.id === id)) return false;
      started.push({ id, input });
      return true;
    },
  };
});

const look = (comment: number, repository = OURS): Promise<Became> =>
  consider(
    { repository, comment },
    { host: 'ci-1', forge, starter, mirrors: [{ recipe: 'gitea', repository: OURS }], untilTold },
  );

const ask = (body = '!testme', author = 'anna'): number => forge.write(OURS, 7, author, body, AT);

describe('a request', () => {
  test('starts the test of the head, as the forge says it', async () => {
    const comment = ask('!testme --quick');
    const test = `test-ci-1-gitea-comment-${comment}`;
    expect(await look(comment)).toEqual({ became: 'a test', recipe: 'gitea', test });
    expect(started).toEqual([
      {
        id: test,
        input: {
          recipe: 'gitea',
          pr: 7,
          ref: HEAD,
          quick: true,
          request: { comment, by: 'anna', at: '2026-11-29T12:00:00.000Z' },
        },
      },
    ]);
  });

  test('that is told of ten times is one test', async () => {
    const comment = ask();
    for (let time = 0; time < 10; time++) await look(comment);
    expect(started).toHaveLength(1);
  });

  test('that is told of at once by two is one test', async () => {
    const comment = ask();
    const found = await Promise.all([look(comment), look(comment)]);
    expect(started).toHaveLength(1);
    expect(found.map(({ became }) => became).sort()).toEqual(['a test', 'the same test']);
  });

  test('is the same whatever the case of the repository', async () => {
    expect(await look(ask(), { owner: 'Mirrors', name: 'GITEA' })).toMatchObject({ became: 'a test' });
  });
});

describe('nothing', () => {
  test.each<[string, () => number]>([
    ['a comment that is gone', () => 1],
    ['another text by now', () => ask('never mind')],
    ['a stranger', () => ask('!testme', 'mallory')],
    ['an account that is gone', () => ask('!testme', '')],
    [
      'ourselves',
      () => {
        forge.writers.add('Recipe-Sweep');
        return ask('!testme', 'Recipe-Sweep');
      },
    ],
    [
      'an edited comment',
      () => {
        const id = ask();
        const comment = forge.comments.get(id);
        if (comment) comment.edited = true;
        return id;
      },
    ],
    [
      'a comment under no pull request',
      () => {
        const id = ask();
        const comment = forge.comments.get(id);
        if (comment) comment.pullRequest = null;
        return id;
      },
    ],
    [
      'a closed pull request',
      () => {
        const pull = forge.pulls.get('mirrors/gitea#7');
        if (pull) pull.state = 'closed';
        return ask();
      },
    ],
    [
      'a pull request that is gone',
      () => {
        forge.pulls.clear();
        return ask();
      },
    ],
  ])('of %s', async (_what, make) => {
    expect(await look(make())).toMatchObject({ became: 'nothing' });
    expect(started).toEqual([]);
    expect(forge.asked).not.toContain('add');
  });

  test.each([
    { owner: 'mirrors', name: 'ghost' },
    { owner: 'mallory', name: 'gitea' },
  ])(
    'of a repository that is no mirror of an enrolled recipe, and nobody is asked: %j',
    async (repository) => {
      expect(await look(ask(), repository)).toMatchObject({ became: 'nothing' });
      expect(forge.asked).toEqual([]);
    },
  );
});

describe('a head that was pushed to since the comment', () => {
  const pushed = (seconds: number): void => {
    forge.pushes.set('mirrors/gitea#7', [new Date(AT.getTime() + seconds * 1000)]);
  };

  test('is told of although the forge tells of the push a moment after it gave the head', async () => {
    untilTold = async () => pushed(1);
    expect(await look(ask())).toMatchObject({ became: 'an answer' });
    expect(started).toEqual([]);
  });

  test('is not tested, and one answer says how to ask again', async () => {
    pushed(1);
    const comment = ask('!testme --quick');
    expect(await look(comment)).toMatchObject({ became: 'an answer' });
    expect(await look(comment)).toMatchObject({ became: 'nothing' });
    expect(started).toEqual([]);
    const [answer, ...more] = [...forge.comments.values()].filter(({ author }) => author === 'recipe-sweep');
    expect(more).toEqual([]);
    expect(answer?.body).toBe(
      `Nothing is tested: the head of this pull request changed since [this was asked for](https://git.example.org/mirrors/gitea/pulls/7#issuecomment-${comment}).\n` +
        'To have the new head tested, write `!testme --quick` once more.\n\n' +
        answerMarker(comment),
    );
  });

  test('is answered also where somebody else wrote our marker', async () => {
    pushed(1);
    const comment = ask();
    forge.write(OURS, 7, 'mallory', answerMarker(comment), AT);
    expect(await look(comment)).toMatchObject({ became: 'an answer' });
  });

  test('is no matter before the comment', async () => {
    pushed(-1);
    expect(await look(ask())).toMatchObject({ became: 'a test' });
  });

  test('is no matter once the test was started', async () => {
    const comment = ask();
    await look(comment);
    pushed(1);
    expect(await look(comment)).toMatchObject({ became: 'the same test' });
    expect(forge.asked).not.toContain('add');
  });
});

test('what does not answer is said so, and nothing is started', async () => {
  const comment = ask();
  forge.trouble = new Fault('Forge', 'the forge: 500');
  await expect(look(comment)).rejects.toThrow('the forge: 500');
  expect(started).toEqual([]);
});
