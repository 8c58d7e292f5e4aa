import { mkdir, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { NO_CONVERSIONS } from './commands.ts';
import type { Git } from './git.ts';
import type { KeptCommits } from './kept-commits.ts';
import { explained, syncFault } from './sync-fault.ts';
import { exists, type WorkRepositories } from './work-repository.ts';

/** Many times what the largest recipe holds. */
const MOST_FILES = 10_000;
const MOST_BYTES = 200_000_000;

interface CheckoutTools {
  git: Git;
  work: WorkRepositories;
  kept: KeptCommits;
  /** A head of a pull request goes with a work repository that is made anew; false where the mirror has no such commit. */
  bring(): Promise<boolean>;
}

/** See `Mirrors.checkout`. */
export async function checkOut(
  recipe: string,
  commit: string,
  folder: string,
  repository: string | null,
  { git, work, kept, bring }: CheckoutTools,
): Promise<void> {
  const bundle = kept.file(recipe, commit);
  const isKept = await exists(bundle);
  // What is kept is to be had without the mirror, also where the work repository is lost or damaged.
  if (isKept) {
    const advice = `Free space on this host, or mend ${work.folder(recipe)}.`;
    await explained(recipe, `checking out ${commit}`, advice, () => work.ensure(recipe, commit));
  }
  await work.look(recipe, `checking out ${commit}`, async (from) => {
    if (isKept && !(await git.has(from, commit))) await git.unbundle(from, bundle);
    if (!(await git.has(from, commit)) && !(await bring())) return null;
    await refuseHugeTree(git, recipe, from, commit);
    await writeTree(git, from, commit, path.resolve(folder));
    if (repository !== null) {
      await rm(repository, { recursive: true, force: true });
      await mkdir(path.dirname(repository), { recursive: true, mode: 0o700 });
      await git.writeRepository(from, commit, path.resolve(repository));
    }
    return true;
  });
}

/** A few small trees that name each other can stand for a billion files. */
async function refuseHugeTree(git: Git, recipe: string, work: string, commit: string): Promise<void> {
  const { files, bytes } = await git.size(work, commit);
  if (files <= MOST_FILES && bytes <= MOST_BYTES) return;
  throw syncFault(
    recipe,
    `commit ${commit} holds ${files} files of ${bytes} bytes, more than ${MOST_FILES} or ${MOST_BYTES}`,
    'A recipe is a few small files: ask upstream to take the others out.',
  );
}

async function writeTree(git: Git, work: string, commit: string, target: string): Promise<void> {
  await rm(target, { recursive: true, force: true });
  await mkdir(target, { recursive: true });
  await mkdir(path.join(work, 'info'), { recursive: true });
  await writeFile(path.join(work, 'info', 'attributes'), NO_CONVERSIONS);
  // One name is enough for who has the recipe's repositories to itself, and what a git that was killed left goes first.
  const index = path.join(work, 'index-of-checkout');
  const clear = async (): Promise<void> => {
    for (const file of [index, `${index}.lock`]) await rm(file, { force: true });
  };
  await clear();
  try {
    await git.writeFiles(work, commit, target, index);
  } finally {
    await clear();
  }
}
