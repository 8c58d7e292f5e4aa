import type { App } from '../../domain/app.ts';
import { passBoundary } from '../machine/boundary.ts';
import type { Post } from '../recipe-format/post-commands.ts';
import type { AppScripts, ScriptResult } from '../scripts/app-scripts.ts';
import type { createPostCommands } from '../scripts/post-commands.ts';

/** What is done to an app that is up, before it is asked. */
export interface Preparation {
  /** Whether all must have been up for as long as they are watched. */
  onceStable: boolean;
  run(): Promise<ScriptResult | null>;
  /** How far it may move the deadline, in milliseconds: its time is not the app's. */
  graceMs: number;
}

export interface PreparationSettings {
  scripts: Pick<AppScripts, 'hook'>;
  postCommands: ReturnType<typeof createPostCommands>;
  /** What all commands of a deployment together may take, in milliseconds. */
  longestMs: () => number;
}

/** The recipe's commands come when an operator's abra would have them come, our folder's hook after them. */
export function preparationsOf(
  { scripts, postCommands, longestMs }: PreparationSettings,
  app: App,
  post: Post | null,
): Preparation[] {
  const ready = {
    onceStable: false,
    graceMs: app.settings.timeouts.hook,
    run: async () => {
      const done = await scripts.hook(app, 'ready');
      passBoundary('deploy.after-ready-hook');
      return done;
    },
  };
  if (post === null) return [ready];
  const run = (): Promise<ScriptResult> => postCommands.run(app, post, longestMs());
  return [{ onceStable: true, graceMs: Infinity, run }, ready];
}
