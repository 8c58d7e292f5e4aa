import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { CATALOGUE } from '../faults/catalogue.ts';
import { verdictLine } from '../faults/report.ts';
import { openStage, type Stage } from '../faults/stage.ts';

/** The short form of `npm run faults`: the most telling entries that take little time, on one system. */

const NAMES = [
  'flaps',
  'answers-500',
  'image-unknown',
  'registry-away',
  'generator-unknown',
  'wants-900-gigabytes',
  'upgrade-renames-its-volume',
  'upgrade-rolled-back',
  'hot-folder',
  'there-after-a-restart',
  'label-of-another-version',
  'pre-release-on-top',
  'drone-leftover-secret',
  'discourse-undefined-service',
  'asks-app-on-proxy',
];

let stage: Stage | undefined;

beforeAll(async () => {
  stage = await openStage(inject('temporal'));
});

afterAll(async () => {
  await stage?.close();
});

test.each(NAMES)('%s', async (name) => {
  const entry = CATALOGUE.find((one) => one.name === name);
  if (!entry || !stage) throw new RangeError(name);
  const verdict = await stage.play(entry);
  console.log(verdictLine(verdict));
  expect([verdict.mark, ...verdict.wrong]).toEqual(['right']);
});
