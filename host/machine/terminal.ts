import type { Command } from './process.ts';

/**
 * The command run at a pseudo-terminal of its own, for a program that does not run without one: by `script` of
 * util-linux, which leaves with the program's status and writes to standard output whatever the terminal shows, so
 * standard error too. The terminal is a session of its own: `script` passes on the signal that ends it, and the
 * terminal that goes with it hangs up on what is left.
 *
 * `script` has a shell run one text. That text is constant but for its length: the words of the command stand in the
 * environment, where no shell reads anything into them.
 */
export function atTerminal(command: Command): Command {
  const words = [command.file, ...command.args].map((word, at) => [`TERMINAL_WORD_${at}`, word] as const);
  const text = words.map(([name]) => `"$${name}"`).join(' ');
  return {
    ...command,
    file: 'script',
    args: ['--quiet', '--return', '--command', `exec ${text}`, '/dev/null'],
    env: { ...command.env, SHELL: '/bin/sh', ...Object.fromEntries(words) },
  };
}
