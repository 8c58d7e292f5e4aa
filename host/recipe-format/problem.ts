import { quotableLine } from '../../domain/printable.ts';

/**
 * What is wrong with a recipe's own files: the package's fault, so a red result and never a Fault.
 * The message is one line: file, where in it, what.
 */
export class RecipeProblem extends Error {
  constructor(file: string, where: string | null, what: string) {
    super(quotableLine(`${file}: ${where === null ? '' : `${where}: `}${what}`));
    this.name = 'RecipeProblem';
  }
}
