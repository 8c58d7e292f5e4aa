import { log } from '@temporalio/activity';
import { answerStatus, answerText, type TestWord } from '../domain/answer.ts';
import { Fault } from '../domain/fault.ts';
import { recipeRunId } from '../domain/names.ts';
import { runPage } from '../domain/site-url.ts';
import { answers } from '../domain/test-request.ts';
import type { Comment, Forge, Repository } from '../forge/forge.ts';
import { ownComments } from '../forge/own-comments.ts';
import { passBoundary } from '../host/machine/boundary.ts';
import { runFolderName } from '../host/store/places.ts';
import { inAttempt } from './attempt.ts';
import { mirrorIn } from './mirror-on-forge.ts';
import type { World } from './world.ts';

/** What was said by now of one test. */
export interface Said {
  /** Our comment; null until it is known to be there, `gone` once somebody deleted it, or its pull request is gone. */
  comment: number | 'gone' | null;
}

export interface AnswerInput {
  /** Its workflow's ID. */
  test: string;
  pullRequest: number;
  /** The comment that asked for it. */
  request: number;
  word: TestWord;
  said: Said;
}

/** Within an attempt's time: a forge that does not answer is asked again, perhaps with a newer word. */
const PATIENCE_MS = 40_000;

export function answer(world: World) {
  return {
    /**
     * Says a word of a test where it was asked for: in one comment, which is made if there is none of ours and is not made
     * again once somebody deleted it, and in the head's status. Answers what is said by now. Throws Fault Forge while the
     * forge is away, BadConfig where it does not let us comment. A status that it does not take costs nothing.
     */
    async answer({ test, pullRequest, request, word, said }: AnswerInput): Promise<Said> {
      return inAttempt(world, async ({ signal, report }) => {
        const { recipe, commit } = word;
        report(`answering on the forge`);
        const patience = AbortSignal.any([signal, AbortSignal.timeout(PATIENCE_MS)]);
        const mirror = await mirrorIn(world, patience, recipe);
        if (mirror === null) {
          throw new Fault(
            'BadConfig',
            `there is nobody to answer: "forge" is not configured, or "mirrors" is not on it`,
          );
        }
        const { forge, repository } = mirror;
        const evidence = evidencePage(test, recipe);
        const text = answerText(word, { request, test, evidence });
        const comment = await keepComment(forge, repository, { pullRequest, request, text }, said.comment);
        passBoundary('answer.after-comment');
        // Each time: of two requests for one head the older one's last word may have come after ours.
        const status = answerStatus(word);
        try {
          const known = await forge.setStatus(repository, commit, { ...status, url: evidence });
          if (!known) log.warn('the forge does not have the commit that a status is for', { recipe });
        } catch (error) {
          if (!(error instanceof Fault) || error.type !== 'BadConfig') throw error;
          log.warn('the status of a commit was not set', { recipe, error });
        }
        passBoundary('answer.after-status');
        return { comment };
      });
    },
  };

  /** Where a browser finds the test's files; null where nobody said under which address they are shown. */
  function evidencePage(test: string, recipe: string): string | null {
    const { url } = world.config.serve;
    return url === undefined ? null : runPage(url, runFolderName(recipeRunId(test, recipe)));
  }
}

/** One comment with that text, edited where it is there. */
async function keepComment(
  forge: Forge,
  repository: Repository,
  { pullRequest, request, text }: { pullRequest: number; request: number; text: string },
  known: Said['comment'],
): Promise<Said['comment']> {
  if (known === 'gone') return known;
  const edit = async (id: number): Promise<Said['comment']> =>
    (await forge.editComment(repository, id, text)) ? id : 'gone';
  if (known !== null) return edit(known);
  const ours = (): Promise<Comment[]> =>
    ownComments(forge, repository, pullRequest, (body) => answers(body, request));
  // One that was made may not have been heard of.
  const [before] = await ours();
  if (before !== undefined) return edit(before.id);
  const made = await forge.addComment(repository, pullRequest, text);
  if (made === null) return 'gone';
  const [first, ...more] = await ours();
  for (const { id } of more) await forge.deleteComment(repository, id);
  // One that was made before, and not heard of, says what was so then.
  return first === undefined || first.id === made.id ? made.id : edit(first.id);
}
