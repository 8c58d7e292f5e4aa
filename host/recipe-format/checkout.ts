import { readFile, realpath, stat } from 'node:fs/promises';
import path from 'node:path';
import { RecipeProblem, type Place } from './problem.ts';

/** The files of one clean checkout, or of another folder. Nothing outside it is ever read on a recipe's behalf. */
export interface Checkout {
  /** The folder itself, without symbolic links. */
  root: string;
  /**
   * The absolute path of what `name` stands for, relative to the checkout; symbolic links are followed.
   * Throws RecipeProblem, at the place where it is said, when it is missing, lies outside the checkout or
   * in its .git folder.
   */
  resolve(name: string, said: Place): Promise<string>;
  /** The text of a file; null when there is no such file. The same refusals as resolve. */
  read(name: string, said: Place): Promise<string | null>;
}

/** Larger than any real compose or env file; a recipe's data has no place in them. */
const LARGEST_FILE = 64 * 1024;

/** `called` is what problems call the folder. */
export async function openCheckout(folder: string, called = 'the recipe'): Promise<Checkout> {
  const root = await realpath(folder);

  async function locate(name: string, said: Place): Promise<string | null> {
    const check = (place: string): void => {
      const [first] = path.relative(root, place).split(path.sep);
      if (first === '..') {
        throw new RecipeProblem(said, `${JSON.stringify(name)} lies outside ${called}`);
      }
      if (first === '.git') {
        throw new RecipeProblem(said, `${JSON.stringify(name)} is git's own`);
      }
    };
    const written = path.resolve(root, name);
    // Before anything is looked for: the answer would tell what there is on the host.
    check(written);
    let found: string;
    try {
      found = await realpath(written);
    } catch {
      return null;
    }
    check(found);
    return found;
  }

  return {
    root,
    async resolve(name, said) {
      const found = await locate(name, said);
      if (found === null) {
        throw new RecipeProblem(said, `${JSON.stringify(name)} does not exist in ${called}`);
      }
      return found;
    },
    async read(name, said) {
      const found = await locate(name, said);
      if (found === null) return null;
      const seen = await stat(found);
      if (!seen.isFile()) throw new RecipeProblem(name, 'is not a file');
      const { size } = seen;
      if (size > LARGEST_FILE) {
        throw new RecipeProblem(name, `${size} bytes, more than the ${LARGEST_FILE} allowed`);
      }
      return readFile(found, 'utf8');
    },
  };
}
