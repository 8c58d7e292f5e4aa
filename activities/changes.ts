import { mkdir } from 'node:fs/promises';
import path from 'node:path';
import { log } from '@temporalio/activity';
import { messageOf } from '../domain/fault.ts';
import { runName, type Published, type RunRef } from '../domain/run.ts';
import { compareVersions } from '../domain/version.ts';
import { keep } from '../host/evidence/deploy-evidence.ts';
import { CHANGES } from '../host/store/places.ts';
import type { Attempt } from './attempt.ts';
import type { World } from './world.ts';

/**
 * Keeps, for people, what a release that is about to be tested changes: its files against those of the canonical, and what
 * it and those between them say in their release notes. Nothing depends on it, so what goes wrong is logged.
 */
export async function keepChanges(
  world: World,
  attempt: Attempt,
  run: RunRef,
  { releases }: Pick<Published, 'releases'>,
): Promise<void> {
  const { recipe } = run;
  try {
    const latest = releases.at(-1);
    const canonical = await world.canonicals.read(recipe);
    if (latest === undefined) return;
    const isNewer = (version: string): boolean =>
      canonical === null ? version === latest.version : compareVersions(version, canonical.version) > 0;
    if (!isNewer(latest.version) || (await world.recipes.one(recipe)).hold !== null) return;
    const mirrors = world.mirrorsFor(attempt.commands);
    const notes = await mirrors.releaseNotes(
      recipe,
      releases.filter(({ version }) => isNewer(version)),
    );
    const diff = canonical && (await mirrors.diff(recipe, canonical.commit, latest.commit));
    if (diff === null && notes.size === 0) return;
    const folder = path.join(await world.results.runFolder(runName(run)), CHANGES.folder);
    await mkdir(folder, { recursive: true });
    if (diff !== null) await keep(folder, CHANGES.diff, diff);
    const text = [...notes].map(([version, note]) => `release/${version}\n\n${note.trim()}\n`).join('\n');
    if (text !== '') await keep(folder, CHANGES.notes, text);
  } catch (error) {
    attempt.signal.throwIfAborted();
    log.warn('what the release changes was not kept', { recipe, error: messageOf(error) });
  }
}
