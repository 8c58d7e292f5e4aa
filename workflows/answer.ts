import { CancellationScope, condition, sleep } from '@temporalio/workflow';
import type { AnswerInput, Said } from '../activities/answer.ts';
import type { TestWord } from '../domain/answer.ts';
import { reasonOf } from './input.ts';
import { answerSteps } from './steps.ts';

/** What a test says where it was asked for, beside the test: a forge that is away delays the words and nothing else. */
export interface Answer {
  /** A newer word takes the place of one that was not said yet. */
  say(word: TestWord): void;
  /** Says the last word; null once it is said, or why it was not within an hour. Cancelling does not end it. */
  end(word: TestWord): Promise<string | null>;
}

/** Nobody reads faster, and a forge has others to serve. */
const LEAST_BETWEEN = '10s';
const PATIENCE = '1h';
/** Between two attempts where the forge is away, at first and at most. */
const [SOON_MS, LATE_MS] = [5_000, 120_000];

/** To nobody where the test was not asked for in a comment. */
export function openAnswer(to: Pick<AnswerInput, 'test' | 'pullRequest' | 'request'> | null): Answer {
  if (to === null) return { say: () => undefined, end: async () => null };
  const about = to;
  let word: TestWord | null = null;
  let heard: TestWord | null = null;
  let failed = 'it was not tried yet';

  async function speak(): Promise<void> {
    let said: Said = { comment: null };
    let pauseMs = SOON_MS;
    while (heard?.end == null) {
      await condition(() => word !== heard);
      const saying = word;
      if (saying === null) continue;
      try {
        said = await answerSteps('what is said on the forge').answer({ ...about, word: saying, said });
        heard = saying;
        pauseMs = SOON_MS;
        if (saying.end === null) await sleep(LEAST_BETWEEN);
      } catch (error) {
        failed = reasonOf(error);
        await sleep(pauseMs);
        pauseMs = Math.min(2 * pauseMs, LATE_MS);
      }
    }
  }
  void CancellationScope.nonCancellable(speak);

  return {
    say(newer) {
      word = newer;
    },
    async end(last) {
      word = last;
      const done = await CancellationScope.nonCancellable(() => condition(() => heard === last, PATIENCE));
      return done ? null : failed;
    },
  };
}
