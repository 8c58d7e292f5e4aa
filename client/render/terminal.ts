import { stripVTControlCharacters } from 'node:util';
import stringWidth from 'string-width';

/** Where a command prints. Tests hand in one that collects. */
export interface Terminal {
  /** What the operator asked for, one or more whole lines. */
  out(text: string): void;
  /** What they should know besides. */
  err(text: string): void;
  /** The stream that live progress may redraw, and null where lines can only be appended. */
  live: NodeJS.WriteStream | null;
  /** How wide lines may be; null where nothing is wrapped. */
  columns(): number | null;
}

export function processTerminal(): Terminal {
  // A reader that went away (`| head`) is not an error of ours.
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
  });
  return {
    out: (text) => print(process.stdout, text),
    err: (text) => print(process.stderr, text),
    live: process.stdout.isTTY && process.env['TERM'] !== 'dumb' ? process.stdout : null,
    columns: () => columnsOf(process.stdout.isTTY ? process.stdout.columns : null, process.env['COLUMNS']),
  };
}

/** What a mail, a log or a pipe to a pager shows without cutting it. */
const COLUMNS_WITHOUT_A_TERMINAL = 80;

/** Of a terminal as many as it has; without one what the variable `COLUMNS` says, and of 0 no limit at all. */
export function columnsOf(ofTerminal: number | null, variable: string | undefined): number | null {
  if (ofTerminal !== null) return ofTerminal;
  if (variable === undefined || !/^\d{1,5}$/.test(variable)) return COLUMNS_WITHOUT_A_TERMINAL;
  return Number(variable) || null;
}

/** Colours are for terminals; a file or a pipe gets the words alone. */
function print(stream: NodeJS.WriteStream, text: string): void {
  stream.write(`${stream.isTTY ? text : stripVTControlCharacters(text)}\n`);
}

/**
 * Text that came from outside (a tag, a log line, an error) without what steers a terminal: escape
 * sequences, control characters and marks that turn the direction of writing.
 */
function harmless(text: string): string {
  return stripVTControlCharacters(text).replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ');
}

/** Text from outside as one line; its line breaks are blanks. */
export function oneLine(text: string): string {
  return harmless(text).trim();
}

/** What is there to be copied: a path or an address, perhaps in brackets or quotes. */
const COPIED = /^["'(]*(?:[a-z]+:\/)?\.{0,2}\//;

/**
 * One line as several of at most so many columns, broken at blanks; colours take none. A path or an address that is longer
 * stays whole, on a line of its own; any other word is broken. Null columns: as it is.
 */
export function wrapped(line: string, columns: number | null): string[] {
  if (columns === null || stringWidth(line) <= columns) return [line];
  const lines: string[] = [];
  let room = 0;
  for (const word of line.split(' ').flatMap((one) => fitting(one, columns))) {
    const width = stringWidth(word);
    const last = lines.at(-1);
    if (last !== undefined && width + 1 <= room) {
      lines[lines.length - 1] = `${last} ${word}`;
      room -= width + 1;
    } else {
      lines.push(word);
      room = columns - width;
    }
  }
  return lines;
}

/** The word, in parts where it is wider; nothing parts a colour's mark. */
function fitting(word: string, columns: number): string[] {
  if (stringWidth(word) <= columns || COPIED.test(stripVTControlCharacters(word))) return [word];
  const parts = [''];
  let width = 0;
  for (const one of word.match(/\u001b\[\d+m|./gsu) ?? []) {
    const more = stringWidth(one);
    if (width > 0 && width + more > columns) {
      parts.push('');
      width = 0;
    }
    parts[parts.length - 1] += one;
    width += more;
  }
  return parts;
}

const LABEL_WIDTH = 10;

/**
 * A line that says what it is about, and goes on below itself. `whole`, which ends it, is never wrapped, since it is there
 * to be copied: where it does not fit beside the rest it stands on a line of its own.
 */
export function labelled(label: string, text: string, columns: number | null, whole = ''): string {
  const begin = label + ' '.repeat(Math.max(0, LABEL_WIDTH - stringWidth(label)));
  return hanging(begin, text, whole, columns, '  ').join('\n');
}

/**
 * A text that goes on below itself, and what is never wrapped at its end. What is wider than the room beside `begin` stands
 * on a line of its own behind `indent`.
 */
export function hanging(
  begin: string,
  text: string,
  whole: string,
  columns: number | null,
  indent: string,
): string[] {
  const width = stringWidth(begin);
  const room = columns === null ? null : Math.max(1, columns - width);
  const lines = wrapped(text, room).flatMap((line, at) => {
    const before = at === 0 ? begin : ' '.repeat(width);
    if (room === null || stringWidth(line) <= room) return [`${before}${line}`];
    return [...(before.trim() === '' ? [] : [before]), `${indent}${line}`];
  });
  return withWhole(lines, whole, columns, indent);
}

/** The lines with what is never wrapped at their end, or below them where it does not fit there. */
function withWhole(
  lines: readonly string[],
  whole: string,
  columns: number | null,
  indent: string,
): string[] {
  if (whole === '') return lines.map((line) => line.trimEnd());
  const last = lines.at(-1) ?? '';
  return columns === null || stringWidth(last) + stringWidth(whole) <= columns
    ? [...lines.slice(0, -1), `${last}${whole}`]
    : [...lines.map((line) => line.trimEnd()).filter((line) => line !== ''), `${indent}${whole}`];
}

/** Text from outside whose lines stay lines. */
export function safeLines(text: string): string {
  return text.split('\n').map(harmless).join('\n').trimEnd();
}
