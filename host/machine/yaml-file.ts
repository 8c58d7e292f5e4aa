import { parse } from 'yaml';
import type { z } from 'zod';
import { Fault, messageOf } from '../../domain/fault.ts';
import { readRegularFile } from './regular-file.ts';

/** One thing that is wrong in a file that an operator writes. */
export interface Mistake {
  /** Dotted, as in `probe.status.0`; null when it is about the file as a whole. */
  path: string | null;
  what: string;
}

/** What a file holds, as its schema says, or what is wrong with it. */
export type Checked<T> = { ok: true; data: T } | { ok: false; mistakes: Mistake[] };

/** What stands in a YAML file. */
export async function readYaml(file: string): Promise<Checked<unknown>> {
  try {
    return { ok: true, data: parse(await readRegularFile(file), { prettyErrors: false }) };
  } catch (error) {
    return { ok: false, mistakes: [{ path: null, what: `cannot be read: ${messageOf(error)}` }] };
  }
}

/** Compares what was read with a schema; all mistakes at once, unknown keys among them. */
export function checkYaml<T>(written: unknown, schema: z.ZodType<T>): Checked<T> {
  const checked = schema.safeParse(written);
  return checked.success
    ? { ok: true, data: checked.data }
    : { ok: false, mistakes: mistakesOf(checked.error.issues) };
}

/**
 * Reads a file that an operator writes. Throws Fault BadConfig that names the file and lists every mistake at
 * once, each with its dotted path; unknown keys are mistakes.
 */
export async function readYamlFile<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  const read = await readYaml(file);
  if (!read.ok) throw new Fault('BadConfig', `${file}: ${read.mistakes.map(({ what }) => what).join(', ')}`);
  const checked = checkYaml(read.data, schema);
  if (checked.ok) return checked.data;
  const lines = checked.mistakes.map(({ path, what }) => `  ${path === null ? '' : `${path}: `}${what}`);
  throw new Fault('BadConfig', `${file}:\n${lines.join('\n')}`);
}

function mistakesOf(issues: readonly z.core.$ZodIssue[]): Mistake[] {
  return issues.flatMap((issue): Mistake[] => {
    const path = issue.path.join('.');
    switch (issue.code) {
      case 'unrecognized_keys':
        return issue.keys.map((key) => ({ path: [...issue.path, key].join('.'), what: 'unknown key' }));
      case 'invalid_key':
        return mistakesOf(issue.issues).map(({ what }) => ({ path, what }));
      default:
        return [{ path: path || null, what: issue.message }];
    }
  });
}
