import { RecipeProblem } from './problem.ts';
import type { RecipeFiles } from './read.ts';

/** What an operator does to an app that has commands of its own to follow. */
export type PostOccasion = 'deploy' | 'upgrade';

/** A function of abra.sh that abra runs in the container of a service. */
export interface PostCommand {
  service: string;
  /** The function's name and its arguments, as they are written. */
  call: string;
}

/** What is to be run on an occasion. */
export interface Post {
  occasion: PostOccasion;
  commands: readonly PostCommand[];
  abraSh: string;
}

/** The variable of the app's env that names them. */
export const POST_COMMANDS = {
  deploy: 'POST_DEPLOY_CMDS',
  upgrade: 'POST_UPGRADE_CMDS',
} as const satisfies Record<PostOccasion, string>;

/**
 * The commands that the app's env names for the occasion, `<service> <command> <arguments>|<service> <command> …`,
 * taken apart at each `|` and each blank as abra does (cli/internal, PostCmds): a blank beside a `|` makes a service
 * without a name. As there, the command is one that abra.sh has the name of. Null for none. Throws RecipeProblem.
 */
export function postCommands(
  occasion: PostOccasion,
  { sample, abraSh }: Pick<RecipeFiles, 'sample' | 'abraSh'>,
  services: readonly string[],
): Post | null {
  const variable = POST_COMMANDS[occasion];
  const written = sample.values.get(variable) ?? '';
  if (written === '') return null;
  const wrong = (what: string): RecipeProblem => new RecipeProblem(sample.at(variable), what);
  if (abraSh === null) throw wrong('the recipe has no abra.sh, whose functions these would be');
  const commands = written.split('|').map((command): PostCommand => {
    const said = JSON.stringify(command);
    const [service = '', name, ...rest] = command.split(' ');
    if (name === undefined) throw wrong(`${said} is not "<service> <command> <arguments>"`);
    if (!services.includes(service)) {
      const hint = service === '' ? '; no blank may stand before a service' : '';
      throw wrong(`${said}: the recipe has no service ${JSON.stringify(service)}${hint}`);
    }
    if (!abraSh.includes(name)) throw wrong(`${said}: abra.sh has no ${JSON.stringify(name)}`);
    return { service, call: [name, ...rest].join(' ') };
  });
  return { occasion, commands, abraSh };
}
