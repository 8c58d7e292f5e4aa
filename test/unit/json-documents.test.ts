import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { DOCUMENTS, parseDocument, type DocumentName } from '../fixtures/documents.ts';

const page = readFileSync(new URL('../../docs/json.md', import.meta.url), 'utf8');

/** The examples of docs/json.md, in the order in which they stand there. */
const EXAMPLES: readonly DocumentName[] = [
  'plan',
  'sweep',
  'test',
  'results',
  'results --list',
  'results --recipe --list',
  'status',
  'canonical show',
  'canonical list',
  'schedule show',
  'service show',
  'service reconcile',
  'recipe check',
  'recipe show',
  'doctor',
  'alert list',
  'alert',
  'webhook',
  'index.json',
];

const examples = [...page.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, text = '']) => text);

test('docs/json.md has an example of each document', () => {
  expect(examples).toHaveLength(EXAMPLES.length);
  // A result stands in its report, and a history is records; services are listed as one is shown.
  const elsewhere: DocumentName[] = ['canonical history', 'service list', 'result.json'];
  expect([...EXAMPLES, ...elsewhere].sort()).toEqual(Object.keys(DOCUMENTS).sort());
});

describe('the example in docs/json.md is what is printed', () => {
  test.each(EXAMPLES.map((name, at) => [name, examples[at] ?? ''] as const))('of %s', (name, text) => {
    expect(() => parseDocument(name, text)).not.toThrow();
  });

  test('of a result', () => {
    const report = parseDocument('results', examples[EXAMPLES.indexOf('results')] ?? '');
    for (const result of report.recipes) {
      expect(() => parseDocument('result.json', JSON.stringify(result))).not.toThrow();
    }
  });
});

test.each([
  ['a key too many', { recipe: 'a', ok: true, mistakes: [], more: 1 }, 'Unrecognized key'],
  ['a key too few', { recipe: 'a', ok: true }, 'mistakes'],
])('a document with %s is none', (_what, entry, says) => {
  expect(() => parseDocument('recipe check', JSON.stringify([entry]))).toThrow(says);
});

test('a document of an older version is not what this one writes', () => {
  const [older] = JSON.parse(examples[EXAMPLES.indexOf('results')] ?? '').recipes as Record<
    string,
    unknown
  >[];
  delete older?.['leftovers'];
  const { asked: _asked, test: _test, ...rest } = older ?? {};
  const written = { ...rest, schema: 2, sweep: 'sweep-1', workflow: { id: 'sweep-1/gitea', runId: 'r' } };
  expect(DOCUMENTS['result.json'].safeParse(written).success).toBe(true);
  expect(() => parseDocument('result.json', JSON.stringify(written))).toThrow(
    'not as this version writes it',
  );
});
