import type { Comment, PullRequest, Repository } from '../../forge/forge.ts';
import type { AskedForge } from '../../serve/requests.ts';

/** A forge in memory, as far as `serve` asks it. */
export interface FakeForge extends AskedForge {
  /** What was asked, in order. */
  asked: string[];
  comments: Map<number, Comment>;
  /** By `owner/name#number`. */
  pulls: Map<string, PullRequest>;
  /** Who may write, anywhere. */
  writers: Set<string>;
  /** When heads were pushed to; by `owner/name#number`. */
  pushes: Map<string, Date[]>;
  /** Thrown by each question while it is set. */
  trouble: Error | null;
  /** What somebody writes under a pull request; answers its ID. */
  write(at: Repository, number: number, author: string, body: string, created: Date): number;
}

export const OURS: Repository = { owner: 'mirrors', name: 'gitea' };
export const HEAD = 'c0ffee'.padEnd(40, '0');
const LOGIN = 'recipe-sweep';

const keyOf = ({ owner, name }: Repository, number: number): string => `${owner}/${name}#${number}`;

export function fakeForge(): FakeForge {
  let last = 100;
  const comments = new Map<number, Comment>();
  const where = new Map<number, string>();
  const asked: string[] = [];
  const forge: FakeForge = {
    asked,
    comments,
    pulls: new Map([[keyOf(OURS, 7), pullRequest(7)]]),
    writers: new Set(['anna']),
    pushes: new Map(),
    trouble: null,
    write(at, number, author, body, created) {
      last += 1;
      const url = `https://git.example.org/${at.owner}/${at.name}/pulls/${number}#issuecomment-${last}`;
      comments.set(last, {
        id: last,
        pullRequest: number,
        author,
        body,
        created: created.toISOString(),
        edited: false,
        url,
      });
      where.set(last, keyOf(at, number));
      return last;
    },
    login: async () => ask('login', LOGIN),
    comment: async (_at, id) => ask(`comment ${id}`, comments.get(id) ?? null),
    pullRequest: async (at, number) => ask(`pull ${number}`, forge.pulls.get(keyOf(at, number)) ?? null),
    mayWrite: async (_at, login) => ask(`may write ${login}`, forge.writers.has(login)),
    pushedSince: async (at, number, since) =>
      ask(
        `pushed ${number}`,
        (forge.pushes.get(keyOf(at, number)) ?? []).some((on) => on >= since),
      ),
    commentsOf: async (at, number, most) =>
      ask(
        `comments of ${number}`,
        [...comments.values()].filter(({ id }) => where.get(id) === keyOf(at, number)).slice(-most),
      ),
    commentsSince: async (at, since, most) =>
      ask(
        `comments in ${at.name}`,
        [...comments.values()]
          .filter(({ id }) => where.get(id)?.startsWith(`${at.owner}/${at.name}#`))
          .filter(({ created }) => Date.parse(created) >= since.getTime())
          .toReversed()
          .slice(0, most),
      ),
    async addComment(at, number, body) {
      ask('add', null);
      const id = forge.write(at, number, LOGIN, body, new Date());
      return comments.get(id) ?? null;
    },
  };
  function ask<T>(question: string, answer: T): T {
    asked.push(question);
    if (forge.trouble !== null) throw forge.trouble;
    return answer;
  }
  return forge;
}

function pullRequest(number: number): PullRequest {
  return {
    number,
    title: 'Update',
    state: 'open',
    isDraft: false,
    head: { commit: HEAD, isFork: false },
    base: 'main',
    url: `https://git.example.org/mirrors/gitea/pulls/${number}`,
  };
}
