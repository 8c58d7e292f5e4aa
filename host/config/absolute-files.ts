import path from 'node:path';

/** The same with each file that a key `…File` names made absolute: relative paths start at the configuration's folder. */
export function withAbsoluteFiles<Part extends object>(part: Part, folder: string): Part {
  return Object.fromEntries(
    Object.entries(part).map(([name, value]: [string, unknown]) => [
      name,
      name.endsWith('File') && typeof value === 'string' ? path.resolve(folder, value) : value,
    ]),
  ) as Part;
}
