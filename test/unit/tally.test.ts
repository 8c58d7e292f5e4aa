import { describe, expect, it } from 'vitest';
import { lastLines, type TestEnd } from '../../setup/tally.ts';

const end = (name: string, change: Partial<TestEnd> = {}): TestEnd => ({
  name,
  passed: true,
  failedFirst: null,
  ms: 0,
  ...change,
});

describe('the last lines of npm test', () => {
  it('end with the counts, whatever else is said', () => {
    expect(lastLines([end('a'), end('b', { passed: false })], 2).at(-1)).toBe('1 passed, 3 failed');
    expect(lastLines([], 1)).toEqual(['0 passed, 1 failed']);
  });

  it('name the ten slowest, the slowest first', () => {
    const tests = Array.from({ length: 12 }, (_, index) => end(`t${index}`, { ms: index * 1_000 }));
    const [title, ...lines] = lastLines(tests, 0);
    expect(title).toBe('slowest:');
    expect(lines.slice(0, -1)).toHaveLength(10);
    expect(lines[0]).toBe('   11.0 s  t11');
    expect(lines[9]).toBe('    2.0 s  t2');
  });

  it('count a flaky test as passed, and say what it failed with', () => {
    const shaky = end('shaky', { failedFirst: 'expected 1\n\nto be 2\nat shaky.test.ts:3:1' });
    const lines = lastLines([end('steady'), shaky, end('bad', { passed: false })], 0);
    const at = lines.indexOf('flaky, passed when tried once more:');
    expect(lines.slice(at + 1)).toEqual([
      '  shaky',
      '    expected 1',
      '',
      '    to be 2',
      '    at shaky.test.ts:3:1',
      '2 passed, 1 failed',
    ]);
  });

  it('do not call flaky what failed both times', () => {
    const lines = lastLines([end('bad', { passed: false, failedFirst: 'expected 1' })], 0);
    expect(lines).not.toContain('flaky, passed when tried once more:');
  });
});
