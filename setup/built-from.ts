import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/**
 * What dist/ was built of, on record in dist/ itself: a checkout never runs what was built of other sources than its
 * own. bin/recipe-sweep asks at each start, with the very module that was built, so this loads nothing but Node and
 * takes a few milliseconds.
 */

interface BuiltFrom {
  /** Files and whole folders of the checkout, by their paths in it. */
  inputs: string[];
  /** Of their names and contents. */
  sha256: string;
}

const RECORD = 'dist/built-from.json';
/** Only a checkout has it; what was packed has dist/ alone, and nothing that dist/ could be too old for. */
const A_SOURCE = 'client/main.ts';

/** Records in `dist` what it was built of; `root` is the checkout that has the inputs. */
export function recordInputs(dist: string, root: string, inputs: readonly string[]): void {
  const record: BuiltFrom = { inputs: [...inputs], sha256: sumOf(root, inputs) };
  writeFileSync(path.join(dist, path.basename(RECORD)), `${JSON.stringify(record, null, 2)}\n`);
}

/** Whether `root` has a dist/ that may be run: one of its own sources as they are now, or one without sources. */
export function isBuilt(root: string): boolean {
  const file = path.join(root, RECORD);
  if (!existsSync(file)) return false;
  if (!existsSync(path.join(root, A_SOURCE))) return true;
  const { inputs, sha256 } = JSON.parse(readFileSync(file, 'utf8')) as BuiltFrom;
  return inputs.every((input) => existsSync(path.join(root, input))) && sumOf(root, inputs) === sha256;
}

function sumOf(root: string, inputs: readonly string[]): string {
  const hash = createHash('sha256');
  for (const file of inputs.flatMap((input) => filesIn(root, input))) {
    const content = readFileSync(path.join(root, file));
    hash.update(`${file}\0${content.length}\0`).update(content);
  }
  return hash.digest('hex');
}

function filesIn(root: string, input: string): string[] {
  const whole = path.join(root, input);
  if (!statSync(whole).isDirectory()) return [input];
  return readdirSync(whole)
    .sort()
    .flatMap((name) => filesIn(root, path.join(input, name)));
}
