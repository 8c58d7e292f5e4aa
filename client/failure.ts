/** How a command ends. */
export const EXIT = {
  ok: 0,
  /** A release is red, or could not be promoted. `doctor`: something is missing. */
  red: 1,
  /** No verdict: nothing was learned, or the command could not do what was asked. */
  none: 2,
  /** Ctrl-C. */
  interrupted: 130,
} as const;

/** Ends a command with a message that says it all; no stack is ever shown for it. */
export class CommandStopped extends Error {
  readonly exitStatus: number;

  constructor(message: string, exitStatus: number = EXIT.none) {
    super(message);
    this.name = 'CommandStopped';
    this.exitStatus = exitStatus;
  }
}
