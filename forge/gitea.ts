import { z } from 'zod';
import { Fault } from '../domain/fault.ts';
import { createApi, type ForgeSettings, type Question } from './api.ts';
import type { Comment, Forge, PullRequest, Repository } from './forge.ts';

/** Gitea, and what has its API. What it answers is read no further than it is needed. */

/** What is asked for; an operator may have allowed less, so a page is not the last one for being short. */
const PAGE = 50;
/** Of one list. */
const MOST_PAGES = 100;

/** Of those who are gone, or were never here, there is none. */
const user = z.looseObject({ login: z.string() }).nullish();
const time = z.iso.datetime({ offset: true });

const accountSchema = z.looseObject({ login: z.string().min(1) });

const repositorySchema = z.looseObject({
  empty: z.boolean(),
  description: z.string(),
  has_issues: z.boolean(),
  has_wiki: z.boolean(),
});

const pullRequestSchema = z.looseObject({
  number: z.number().int().positive(),
  title: z.string(),
  state: z.enum(['open', 'closed']),
  draft: z.boolean().nullish(),
  html_url: z.string(),
  /** Its label is its branch: none where it was pushed for review only, which whoever reads may do. */
  head: z.looseObject({ label: z.string(), sha: z.string(), repo_id: z.number() }),
  base: z.looseObject({ ref: z.string(), repo_id: z.number() }),
});

const commentSchema = z.looseObject({
  id: z.number().int().positive(),
  user,
  body: z.string(),
  created_at: time,
  updated_at: time.nullish(),
  html_url: z.string(),
  pull_request_url: z.string().nullish(),
});

/** What happened to a pull request: a comment, a push, … All of them have what a comment has. */
const eventSchema = commentSchema.extend({ type: z.string() });

const teamSchema = z.looseObject({
  id: z.number().int().positive(),
  name: z.string(),
  permission: z.string(),
  units_map: z.record(z.string(), z.string()).nullish(),
});

/** Of an answer nothing is read. */
const unread = z.unknown();

/** By it a repository is known that was made and whose settings were cut off. */
const DESCRIPTION = 'A mirror, kept by recipe-sweep: main and tags are those of upstream.';

const KNOW = 'to know whose it is (read:user)';
const READ = 'to read the repository (read:repository)';
const READ_COMMENTS = 'to read the repository and its comments (read:repository, read:issue)';
const COMMENT =
  'to write comments, those of others too (write:issue; its account may write to the repository)';
const WRITE = 'to write to the repository (write:repository)';
const ADMINISTER = 'to administer the repository (write:repository; its account is an administrator of it)';
const MAKE =
  'to make repositories of that owner (write:repository, and write:organization, or write:user for its own)';
const SEE_TEAMS =
  "to see who is in the owner's teams (read:organization; its account is in them, or an owner of the organisation)";

const WRITES = new Set(['write', 'admin', 'owner']);

/** A push to a pull request that is closed is no event of it: only that it is opened again tells of one. */
const MAY_CHANGE_HEAD = new Set(['pull_push', 'reopen']);

/** The forge at a URL, asked as whoever the token is of, until the signal. */
export function createForge(settings: ForgeSettings, api = createApi(settings)): Forge {
  let own: Promise<string> | undefined;

  async function askLogin(): Promise<string> {
    const { body } = await api.ask({ path: ['user'], right: KNOW }, accountSchema);
    if (body !== null) return body.login;
    throw new Fault('Forge', `the forge: nothing of one is at ${settings.url}: look at "forge.url"`);
  }

  function login(): Promise<string> {
    own ??= askLogin().catch((error: unknown) => {
      own = undefined;
      throw error;
    });
    return own;
  }

  /** A list from its beginning, page by page; nothing where there is no such list. */
  async function* listed<T>(question: Question, one: z.ZodType<T>): AsyncGenerator<T[], void> {
    for (let page = 1; ; page++) {
      const query = { ...question.query, page, limit: PAGE };
      // Gitea says null for nothing.
      const { body } = await api.ask({ ...question, query }, z.array(one).nullable());
      if (body === null || body.length === 0) return;
      if (page > MOST_PAGES) {
        const most = MOST_PAGES * PAGE;
        throw new Fault(
          'Forge',
          `the forge: ${question.path.join('/')}: more than ${most} entries, not read`,
        );
      }
      yield body;
    }
  }

  /** Everything that happened to a pull request, oldest first. */
  async function eventsOf(at: Repository, number: number, since?: Date) {
    const question = {
      path: [...pathOf(at), 'issues', number, 'timeline'],
      query: since === undefined ? {} : { since: since.toISOString() },
      right: READ_COMMENTS,
    };
    const events: z.output<typeof eventSchema>[] = [];
    for await (const page of listed(question, eventSchema)) events.push(...page);
    return events;
  }

  async function pullRequest(at: Repository, number: number): Promise<PullRequest | null> {
    const question = { path: [...pathOf(at), 'pulls', number], right: READ };
    const { body } = await api.ask(question, pullRequestSchema);
    return body && pullRequestOf(body);
  }

  /** Its settings, where they are not what they are made with. */
  async function settle(at: Repository): Promise<void> {
    const body = { has_issues: false, has_wiki: false };
    await api.ask({ method: 'PATCH', path: pathOf(at), body, right: ADMINISTER }, unread);
  }

  async function seesTeam(id: number): Promise<boolean> {
    const question = { path: ['teams', id], right: SEE_TEAMS, taken: [403] };
    return (await api.ask(question, unread)).body !== null;
  }

  /** Whether a team of the repository's lets somebody write who has no right of their own. */
  async function mayWriteByTeam(at: Repository, who: string): Promise<boolean> {
    const hidden: string[] = [];
    // All at once, without pages; an account that is no organisation has none.
    const listing = { path: [...pathOf(at), 'teams'], right: SEE_TEAMS, taken: [405] };
    const { body: teams } = await api.ask(listing, z.array(teamSchema).nullable());
    for (const { id, name, permission, units_map: units } of teams ?? []) {
      if (!WRITES.has(units?.['repo.code'] ?? permission)) continue;
      const question = { path: ['teams', id, 'members', who], right: SEE_TEAMS, taken: [403] };
      const { status, body } = await api.ask(question, unread);
      if (body !== null) return true;
      // 404 may be of the member, or of a team of an organisation that the token's account is not in.
      if (status === 403 || !(await seesTeam(id))) hidden.push(name);
    }
    if (hidden.length === 0) return false;
    throw new Fault(
      'BadConfig',
      `the forge does not let the token's account see who is in team ${hidden.join(', ')} of ${at.owner}: put it into the team, or make it an owner, so that whoever writes by it is known (${settings.tokenFile})`,
    );
  }

  return {
    login,
    pullRequest,

    async ensureRepository(at) {
      const { body: there } = await api.ask({ path: pathOf(at), right: READ }, repositorySchema);
      if (there !== null) {
        const isCutOff = there.empty && there.description === DESCRIPTION;
        if (isCutOff && (there.has_issues || there.has_wiki)) await settle(at);
        return 'there';
      }
      const isOwn = (await login()).toLowerCase() === at.owner.toLowerCase();
      const question: Question = {
        method: 'POST',
        path: isOwn ? ['user', 'repos'] : ['orgs', at.owner, 'repos'],
        body: { name: at.name, description: DESCRIPTION, private: true, default_branch: 'main' },
        right: MAKE,
        again: true,
        taken: [409],
      };
      const { status } = await api.ask(question, unread);
      if (status === 404) {
        throw new Fault(
          'BadConfig',
          `the forge: there is no organisation ${at.owner} at ${settings.url} that the token's account may make repositories in; make it, or look at "mirrors"`,
        );
      }
      await settle(at);
      return 'made';
    },

    async openPullRequests(at, most) {
      const question = {
        path: [...pathOf(at), 'pulls'],
        query: { state: 'open', sort: 'recentupdate' },
        right: READ,
      };
      const found: PullRequest[] = [];
      // Right after the first push to a repository there is no such list.
      for await (const page of listed(question, pullRequestSchema)) {
        found.push(...page.map(pullRequestOf));
        if (found.length >= most) break;
      }
      return found.slice(0, most);
    },

    async closePullRequest(at, number) {
      if ((await pullRequest(at, number))?.state !== 'open') return false;
      const { body } = await api.ask(
        {
          method: 'PATCH',
          path: [...pathOf(at), 'pulls', number],
          body: { state: 'closed' },
          right: WRITE,
          // Merged meanwhile.
          taken: [412],
        },
        unread,
      );
      return body !== null;
    },

    async wasReopened(at, number) {
      return (await eventsOf(at, number)).some(({ type }) => type === 'reopen');
    },

    async pushedSince(at, number, since) {
      // The forge counts in seconds: what came in that one may have come after.
      const second = new Date(Math.floor(since.getTime() / 1000) * 1000);
      const events = await eventsOf(at, number, second);
      return events.some(
        ({ type, created_at: on }) => MAY_CHANGE_HEAD.has(type) && Date.parse(on) >= +second,
      );
    },

    async comment(at, id) {
      const question = { path: [...pathOf(at), 'issues', 'comments', id], right: READ_COMMENTS };
      // Of one that is gone there may be an answer with nothing in it.
      const { body } = await api.ask(question, commentSchema);
      return body && commentOf(body);
    },

    async commentsSince(at, since, most) {
      const ask = (page: number) =>
        api.ask(
          {
            path: [...pathOf(at), 'issues', 'comments'],
            // Written or changed since then, oldest first.
            query: { since: since.toISOString(), page, limit: PAGE },
            right: READ_COMMENTS,
          },
          z.array(commentSchema).nullable(),
        );
      const { body, total } = await ask(1);
      const first = body ?? [];
      const last = first.length === 0 ? 1 : Math.ceil((total ?? first.length) / first.length);
      const found: Comment[] = [];
      for (let page = last; page >= 1 && last - page < MOST_PAGES && found.length < most; page--) {
        const comments = page === 1 ? first : ((await ask(page)).body ?? []);
        const wanted = comments
          .map(commentOf)
          .filter(({ pullRequest: of, created }) => of !== null && Date.parse(created) >= +since);
        found.push(...wanted.reverse());
      }
      return found.slice(0, most);
    },

    async commentsOf(at, number, most) {
      const events = await eventsOf(at, number);
      const comments = events.filter(({ type }) => type === 'comment');
      return comments.slice(-most).map(commentOf);
    },

    async addComment(at, number, text) {
      // Of one that is not there Gitea makes an error of its own.
      if ((await pullRequest(at, number)) === null) return null;
      const question: Question = {
        method: 'POST',
        path: [...pathOf(at), 'issues', number, 'comments'],
        body: { body: text },
        right: COMMENT,
      };
      const { body } = await api.ask(question, commentSchema);
      return body && commentOf(body);
    },

    async editComment(at, id, text) {
      const question: Question = {
        method: 'PATCH',
        path: [...pathOf(at), 'issues', 'comments', id],
        body: { body: text },
        right: COMMENT,
      };
      return (await api.ask(question, unread)).body !== null;
    },

    async deleteComment(at, id) {
      const path = [...pathOf(at), 'issues', 'comments', id];
      await api.ask({ method: 'DELETE', path, right: COMMENT }, unread);
    },

    async mayWrite(at, who) {
      if (who === '') return false;
      const question = {
        path: [...pathOf(at), 'collaborators', who, 'permission'],
        right: ADMINISTER,
      };
      const { body } = await api.ask(question, z.looseObject({ permission: z.string() }));
      if (body === null) return false;
      return WRITES.has(body.permission) || mayWriteByTeam(at, who);
    },

    async setStatus(at, commit, { context, state, description, url }) {
      // Here too.
      const there = {
        path: [...pathOf(at), 'git', 'commits', commit],
        query: { stat: 'false' },
        right: READ,
      };
      if ((await api.ask(there, unread)).body === null) return false;
      const question: Question = {
        method: 'POST',
        path: [...pathOf(at), 'statuses', commit],
        body: { context, state, description, target_url: url ?? '' },
        right: WRITE,
        again: true,
      };
      return (await api.ask(question, unread)).body !== null;
    },
  };
}

function pathOf({ owner, name }: Repository): string[] {
  return ['repos', owner, name];
}

function pullRequestOf(read: z.output<typeof pullRequestSchema>): PullRequest {
  const { number, title, state, draft, html_url: url, head, base } = read;
  return {
    number,
    title,
    state,
    isDraft: draft ?? false,
    head: { commit: head.sha, isFork: head.repo_id !== base.repo_id || head.label === '' },
    base: base.ref,
    url,
  };
}

function commentOf(read: z.output<typeof commentSchema>): Comment {
  const { id, user: author, body, created_at: created, updated_at: updated, html_url: url } = read;
  const number = /\/(\d+)$/.exec(read.pull_request_url ?? '')?.[1];
  return {
    id,
    pullRequest: number === undefined ? null : Number(number),
    author: author?.login ?? '',
    body,
    created: new Date(created).toISOString(),
    edited: updated != null && Date.parse(updated) !== Date.parse(created),
    url,
  };
}
