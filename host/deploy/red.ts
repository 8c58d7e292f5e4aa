import { quotableLine } from '../../domain/printable.ts';

/** A red deployment that is known before anything of it runs, and the file with the rest. */
export class Red extends Error {
  readonly file: string;

  constructor(reason: string, file: string) {
    super(quotableLine(reason));
    this.name = 'Red';
    this.file = file;
  }
}
