import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { optionsOf, type Option } from './options.ts';

/** What `npm run nix-options` writes, and a test compares with what stands there. */

const ROOT = fileURLToPath(new URL('../..', import.meta.url));
const EXAMPLE = path.join(ROOT, 'recipe-sweep.example.yml');
const OPTIONS = path.join(ROOT, 'nix/options.json');
const PAGE = path.join(ROOT, 'docs/nixos.md');
/** The table of the page stands between these. */
const [BEGIN, END] = ['<!-- made by npm run nix-options -->', '<!-- until here -->'];

/** Each generated file with its text as it should be, formatted as the rest. */
export async function generatedFiles(): Promise<{ file: string; text: string }[]> {
  const options = optionsOf(await readFile(EXAMPLE, 'utf8'));
  const page = await readFile(PAGE, 'utf8');
  const [before, rest] = page.split(BEGIN);
  const [, after] = (rest ?? '').split(END);
  if (before === undefined || after === undefined) throw new Error(`${PAGE}: no ${BEGIN} … ${END}`);
  return [
    { file: OPTIONS, text: await formatted(OPTIONS, JSON.stringify(options)) },
    { file: PAGE, text: await formatted(PAGE, `${before}${BEGIN}\n\n${table(options)}\n\n${END}${after}`) },
  ];
}

async function formatted(file: string, text: string): Promise<string> {
  return format(text, { ...(await resolveConfig(file)), filepath: file });
}

function table(options: readonly Option[]): string {
  const rows = options.map((option) => [
    `\`${option.key}\``,
    typeWords(option),
    option.required ? 'none' : option.default === null ? '' : `\`${option.default}\``,
    option.description.replaceAll('|', '\\|').replaceAll('<', '\\<').replaceAll('*', '\\*'),
  ]);
  const header = [
    ['key', 'type', 'default', 'what'],
    ['---', '---', '---', '---'],
  ];
  return [...header, ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

function typeWords({ type }: Option): string {
  switch (type.kind) {
    case 'text':
      return type.pattern === null || type.pattern === '.+'
        ? 'text'
        : `\`${type.pattern.replaceAll('|', '\\|')}\``;
    case 'choice':
      return type.of.map((one) => `\`${one}\``).join(', ');
    case 'number':
      return `${type.min} to ${type.max}`;
    case 'texts':
      return 'list of texts';
    case 'group':
      return 'group';
    case 'groups':
      return 'list of groups';
  }
}
