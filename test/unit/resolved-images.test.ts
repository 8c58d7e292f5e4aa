import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { addResolved, readResolved, resolvedImagesFile } from '../../host/deploy/resolved-images.ts';

let folder: string;
let file: string;

beforeEach(() => {
  folder = mkdtempSync(path.join(tmpdir(), 'resolved-images-'));
  file = resolvedImagesFile(folder);
});

afterEach(() => rmSync(folder, { recursive: true }));

describe('what images were when a run first looked', () => {
  it('is nothing before it has', async () => {
    expect(await readResolved(file)).toEqual(new Map());
  });

  it('stays, whatever they are later, and others come beside it', async () => {
    await addResolved(file, [['redis:7', 'sha256:1']]);
    await addResolved(file, [
      ['redis:7', 'sha256:2'],
      ['nginx:1', 'sha256:3'],
    ]);
    expect(await readResolved(file)).toEqual(
      new Map([
        ['redis:7', 'sha256:1'],
        ['nginx:1', 'sha256:3'],
      ]),
    );
  });

  it('is not written again when nothing is new', async () => {
    await addResolved(file, [['redis:7', 'sha256:1']]);
    const padded = `${readFileSync(file, 'utf8')}\n`;
    writeFileSync(file, padded);
    await addResolved(file, [['redis:7', 'sha256:2']]);
    expect(readFileSync(file, 'utf8')).toBe(padded);
  });

  it('that cannot be read is an error, and never nothing', async () => {
    writeFileSync(file, '{');
    await expect(readResolved(file)).rejects.toMatchObject({ type: 'RecordUnreadable' });
    await expect(addResolved(file, [['redis:7', 'sha256:1']])).rejects.toMatchObject({
      type: 'RecordUnreadable',
    });
  });
});
