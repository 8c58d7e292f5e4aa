import { constants } from 'node:fs';
import { open } from 'node:fs/promises';

/**
 * What stands in a file that an operator writes, where links may lead to it. A pipe that nobody writes to would keep us,
 * and the end of this process, waiting: it is refused, as is whatever else is no regular file. Throws what open throws.
 */
export async function readRegularFile(place: string): Promise<string> {
  const file = await open(place, constants.O_RDONLY | constants.O_NONBLOCK);
  try {
    if (!(await file.stat()).isFile()) throw new Error(`${place} is no regular file`);
    return await file.readFile('utf8');
  } finally {
    await file.close();
  }
}
