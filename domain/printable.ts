/**
 * Text that others wrote (a tag, a line of a compose file, a server's answer) may hold characters that steer
 * a terminal, hide words or turn their order, and may be of any length. This is how it is quoted.
 */

/** Control, invisible, unassigned and direction-turning characters, and line separators; not tab and line end. */
const HIDDEN = /[^\P{C}\n\t]|[\p{Zl}\p{Zp}]/gu;

const LONGEST_TEXT = 4_000;
const LONGEST_LINE = 600;

/** The text with each such character written out, as in `\u{202e}`. */
export function printable(text: string): string {
  return text.replace(HIDDEN, (character) => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`);
}

/** Printable, and cut where it is longer than an operator reads. Its lines stay lines. */
export function quotable(text: string, longest = LONGEST_TEXT): string {
  if (text.length <= longest) return printable(text);
  return `${printable(text.slice(0, longest))}… (${text.length - longest} more characters)`;
}

/** The end of a text, from the beginning of a line: one that was cut could begin with half a secret. */
export function endOf(text: string, longest: number): string {
  if (text.length <= longest) return text;
  const end = text.slice(-longest);
  return end.includes('\n') ? `…${end.slice(end.indexOf('\n'))}` : '…';
}

/** Quotable, as one line. */
export function quotableLine(text: string): string {
  return quotable(text.trim().replaceAll(/\s*[\r\n]\s*/g, ' '), LONGEST_LINE);
}

/** Quotable as one line of Markdown, in which nothing of it is a link, an image, a heading or HTML. */
export function quotableMarkdown(text: string): string {
  return quotableLine(text).replaceAll(/[\\`*_[\]<>#|~&!]/g, '\\$&');
}
