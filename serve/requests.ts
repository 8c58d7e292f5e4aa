import type { Forge, Repository } from '../forge/forge.ts';
import { ownComments } from '../forge/own-comments.ts';
import { answers, headChangedAnswer, requestedTest } from '../domain/test-request.ts';
import { commentTestWorkflowId, type TestInput } from '../workflows/protocol.ts';
import type { Hint } from './webhook.ts';

/** What a comment under a pull request becomes: a test, an answer, or nothing. */

/** What is asked of the forge here. */
export type AskedForge = Pick<
  Forge,
  | 'addComment'
  | 'comment'
  | 'commentsOf'
  | 'commentsSince'
  | 'login'
  | 'mayWrite'
  | 'pullRequest'
  | 'pushedSince'
>;

/** Starts tests. Both throw Fault Network where the Temporal server does not do it. */
export interface Starter {
  isThere(workflowId: string): Promise<boolean>;
  /** False where there is, or was, one of that ID. */
  start(workflowId: string, input: TestInput): Promise<boolean>;
}

/** An enrolled recipe, and the repository on the forge that is its mirror. */
export interface Mirror {
  recipe: string;
  repository: Repository;
}

export type Became =
  | { became: 'a test'; recipe: string; test: string }
  /** As of an earlier delivery. */
  | { became: 'the same test'; recipe: string; test: string }
  | { became: 'an answer'; recipe: string; why: string }
  | { became: 'nothing'; why: string };

export interface Surroundings {
  host: string;
  forge: AskedForge;
  starter: Starter;
  mirrors: readonly Mirror[];
  /** Until the forge tells of a push that it has taken already: it tells a moment later. */
  untilTold(): Promise<void>;
}

const nothing = (why: string): Became => ({ became: 'nothing', why });

/** Whether both are the same account or repository: a forge tells names apart whatever their case. */
const same = (a: string, b: string): boolean => a.toLowerCase() === b.toLowerCase();

/**
 * Reads the comment, what its author may do and the head that it is about from the forge, and starts the test that it
 * asks for; one, however often it is asked. Of the hint nothing is believed but where to look.
 */
export async function consider(
  hint: Hint,
  { host, forge, starter, mirrors, untilTold }: Surroundings,
): Promise<Became> {
  const { owner, name } = hint.repository;
  const mirror = mirrors.find(
    ({ repository }) => same(repository.owner, owner) && same(repository.name, name),
  );
  if (mirror === undefined) return nothing('not the mirror of an enrolled recipe');
  const { recipe, repository } = mirror;

  const comment = await forge.comment(repository, hint.comment);
  if (comment === null) return nothing('the comment is gone');
  if (comment.pullRequest === null) return nothing('not under a pull request');
  if (comment.edited) return nothing('the comment was edited');
  const mode = requestedTest(comment.body);
  if (mode === null) return nothing('it asks for no test');
  if (comment.author === '') return nothing('its author is gone');
  if (same(comment.author, await forge.login())) return nothing('it is ours');
  if (!(await forge.mayWrite(repository, comment.author))) return nothing('its author may not write there');

  const test = commentTestWorkflowId(host, recipe, comment.id);
  if (await starter.isThere(test)) return { became: 'the same test', recipe, test };
  // The head first: one that is pushed meanwhile is seen by the next question.
  const pullRequest = await forge.pullRequest(repository, comment.pullRequest);
  if (pullRequest?.state !== 'open') return nothing('the pull request is not open');
  await untilTold();
  if (await forge.pushedSince(repository, pullRequest.number, new Date(comment.created))) {
    const why = 'the head was pushed to since the comment';
    const isAnswer = (body: string): boolean => answers(body, comment.id);
    if ((await ownComments(forge, repository, pullRequest.number, isAnswer)).length > 0) {
      return nothing(`${why}, and it is answered`);
    }
    await forge.addComment(repository, pullRequest.number, headChangedAnswer(comment, mode));
    return { became: 'an answer', recipe, why };
  }
  const isNew = await starter.start(test, {
    recipe,
    pr: pullRequest.number,
    ref: pullRequest.head.commit,
    quick: mode === 'quick',
    request: { comment: comment.id, by: comment.author, at: comment.created },
  });
  return { became: isNew ? 'a test' : 'the same test', recipe, test };
}
