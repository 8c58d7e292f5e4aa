import { runCommand } from '../../client/program.ts';

/** A command typed in this folder, and what it answered and printed. */
export async function typeIn(
  folder: string,
  args: readonly string[],
  columns: number | null = null,
): Promise<{ status: number; out: string; err: string }> {
  const [out, err]: [string[], string[]] = [[], []];
  const terminal = {
    out: (text: string) => void out.push(text),
    err: (text: string) => void err.push(text),
    live: null,
    columns: () => columns,
  };
  const status = await runCommand(args, terminal, folder);
  return { status, out: out.join('\n'), err: err.join('\n') };
}
