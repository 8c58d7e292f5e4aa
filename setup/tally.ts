/** What a test told when it had ended, as far as the last lines of `npm test` speak of it. */
export interface TestEnd {
  name: string;
  passed: boolean;
  /** With what it failed at first, where it passed then. */
  failedFirst: string | null;
  ms: number;
}

const SLOWEST = 10;

/**
 * The last lines: the slowest tests, those that failed and then passed when they were tried once more, with why (each is
 * counted as passed, and worth a look), and, always last, `N passed, N failed`. `broken` is what failed beside tests:
 * files that could not be loaded, a set-up, a check.
 */
export function lastLines(tests: readonly TestEnd[], broken: number): string[] {
  const slowest = tests.toSorted((a, b) => b.ms - a.ms).slice(0, SLOWEST);
  const flaky = tests.filter((test) => test.passed && test.failedFirst !== null);
  const passed = tests.filter((test) => test.passed).length;
  return [
    ...(slowest.length > 0 ? ['slowest:'] : []),
    ...slowest.map(({ name, ms }) => `${(ms / 1000).toFixed(1).padStart(7)} s  ${name}`),
    ...(flaky.length > 0 ? ['flaky, passed when tried once more:'] : []),
    ...flaky.flatMap(({ name, failedFirst }) => [
      `  ${name}`,
      ...(failedFirst ?? '').split('\n').map((line) => `    ${line}`.trimEnd()),
    ]),
    `${passed} passed, ${tests.length - passed + broken} failed`,
  ];
}
