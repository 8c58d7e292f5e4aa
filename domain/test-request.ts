import type { TestMode } from './recipe-test.ts';

/** What a comment under a pull request asks for, and by what our answer to it is known again. */

const ASKED: Readonly<Record<string, TestMode>> = { '!testme': 'cold', '!testme --quick': 'quick' };

/**
 * The mode of the test that a comment asks for: its one line that is not empty says nothing else. Null for every other
 * text: what is quoted, indented as code, or stands among other words is no request.
 */
export function requestedTest(body: string): TestMode | null {
  const lines = body
    .split(/\r\n|[\r\n]/)
    .map((line) => line.replace(/[ \t]+$/, ''))
    .filter((line) => line !== '');
  const [line = '', ...others] = lines;
  return others.length === 0 && Object.hasOwn(ASKED, line) ? (ASKED[line] ?? null) : null;
}

/** A line that no reader sees and that each answer of ours ends with: which comment it answers. */
export function answerMarker(comment: number): string {
  return `<!-- recipe-sweep test ${comment} -->`;
}

/** Whether the text is our answer to that comment, provided that the author is us. */
export function answers(body: string, comment: number): boolean {
  return body.trimEnd().endsWith(answerMarker(comment));
}

/** The answer where the head was pushed to after the comment: what was asked for is not what is there now. */
export function headChangedAnswer(comment: { id: number; url: string }, mode: TestMode): string {
  const again = Object.keys(ASKED).find((line) => ASKED[line] === mode);
  return [
    `Nothing is tested: the head of this pull request changed since [this was asked for](${comment.url}).`,
    `To have the new head tested, write \`${again}\` once more.`,
    '',
    answerMarker(comment.id),
  ].join('\n');
}
