import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import type { z } from 'zod';
import { Fault, messageOf } from '../domain/fault.ts';

/**
 * Reads a file that an operator writes. Throws Fault BadConfig that names the file and lists every problem at
 * once, each with its dotted path; unknown keys are problems.
 */
export async function readYamlFile<T>(file: string, schema: z.ZodType<T>): Promise<T> {
  let written: unknown;
  try {
    written = parse(await readFile(file, 'utf8'), { prettyErrors: false });
  } catch (error) {
    throw new Fault('BadConfig', `${file}: cannot be read: ${messageOf(error)}`);
  }
  const checked = schema.safeParse(written);
  if (!checked.success) throw new Fault('BadConfig', `${file}:\n${problems(checked.error)}`);
  return checked.data;
}

function problems(error: z.ZodError): string {
  return error.issues
    .flatMap((issue) =>
      issue.code === 'unrecognized_keys'
        ? issue.keys.map((key) => `${[...issue.path, key].join('.')}: unknown key`)
        : [`${issue.path.join('.') || '(top level)'}: ${issue.message}`],
    )
    .map((line) => `  ${line}`)
    .join('\n');
}
