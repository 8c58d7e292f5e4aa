import { stripVTControlCharacters } from 'node:util';

/** Where a command prints. Tests hand in one that collects. */
export interface Terminal {
  /** What the operator asked for, one or more whole lines. */
  out(text: string): void;
  /** What they should know besides. */
  err(text: string): void;
  /** The stream that live progress may redraw, and null where lines can only be appended. */
  live: NodeJS.WriteStream | null;
  /** Columns of the terminal; null when there is none, so that nothing is cut or wrapped. */
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
    columns: () => (process.stdout.isTTY ? process.stdout.columns : null),
  };
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

/**
 * One line as several of at most so many columns, broken at blanks; a word that is longer, as a path is, stays
 * whole. Null columns: as it is.
 */
export function wrapped(line: string, columns: number | null): string[] {
  if (columns === null) return [line];
  const lines: string[] = [];
  for (const word of line.split(' ')) {
    const last = lines.at(-1);
    if (last !== undefined && last.length + 1 + word.length <= columns)
      lines[lines.length - 1] = `${last} ${word}`;
    else lines.push(word);
  }
  return lines;
}

/** Text from outside whose lines stay lines. */
export function safeLines(text: string): string {
  return text.split('\n').map(harmless).join('\n').trimEnd();
}
