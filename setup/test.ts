import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { stripVTControlCharacters } from 'node:util';
import { startVitest, type TestCase, type Vitest } from 'vitest/node';
import { messageOf } from '../domain/fault.ts';
import { setUpForTests } from './main.ts';
import { machine } from './machine.ts';
import { lastLines, type TestEnd } from './tally.ts';

/**
 * `npm test`: everything, in order, until something fails. Its last lines name the slowest tests and the flaky ones;
 * the very last is `N passed, N failed`.
 */

/** Scripts of package.json, each with its headline. */
const CHECKS = {
  'format:check': 'format',
  lint: 'lint',
  types: 'types',
  unused: 'unused code',
} as const;

/** Projects of vitest.config.ts. */
const SUITES = ['unit', 'workflow', 'replay', 'hostile', 'install', 'e2e'] as const;

const clone = fileURLToPath(new URL('..', import.meta.url));

interface Told {
  tests: TestEnd[];
  /** What failed and is no test. */
  broken: number;
}

function headline(text: string): void {
  console.log(`\n== ${text}`);
}

/** Answers whether it passed; what it printed is shown only if not. */
async function check(script: string): Promise<boolean> {
  const args = ['run', '--silent', script];
  const { status, stdout, stderr } = await machine.run({ file: 'npm', args, cwd: clone });
  if (status !== 0) console.log(`${stdout}${stderr}`.trimEnd());
  return status === 0;
}

/** Runs one project of tests. Whatever did not pass has failed, skipped tests too: they tell nothing. */
async function runSuite(project: string): Promise<Told> {
  const vitest = await startVitest('test', [], { root: clone, project: [project], watch: false, run: true });
  const told = tell(vitest, project);
  await vitest.close();
  if (told.tests.length > 0 || told.broken > 0) return told;
  console.log(`no ${project} test was run`);
  return { tests: [], broken: 1 };
}

function tell(vitest: Vitest, project: string): Told {
  const told: Told = { tests: [], broken: vitest.state.getUnhandledErrors().length };
  for (const file of vitest.state.getTestModules()) {
    const tests = [...file.children.allTests()].map((test) => ({
      name: `${project}: ${test.fullName}`,
      passed: test.result().state === 'passed',
      failedFirst: test.diagnostic()?.flaky ? firstFailure(test) : null,
      ms: test.diagnostic()?.duration ?? 0,
    }));
    told.tests.push(...tests);
    // a file that could not be loaded, or whose set-up or teardown failed, has no failed test to show for it
    if (!file.ok() && tests.every(({ passed }) => passed)) told.broken += 1;
  }
  return told;
}

/** What it said, and where. */
function firstFailure(test: TestCase): string {
  const [error] = test.result().errors ?? [];
  const [at] = error?.stacks ?? [];
  return [
    error?.message ?? 'it said nothing',
    ...(error?.diff ? [stripVTControlCharacters(error.diff)] : []),
    ...(at ? [`at ${path.relative(clone, at.file)}:${at.line}`] : []),
  ].join('\n');
}

async function runEverything(told: Told): Promise<void> {
  headline('set-up');
  await setUpForTests(console.log);
  for (const [script, text] of Object.entries(CHECKS)) {
    headline(text);
    if (!(await check(script))) {
      told.broken += 1;
      return;
    }
    console.log('ok');
  }
  for (const suite of SUITES) {
    headline(`${suite} tests`);
    const { tests, broken } = await runSuite(suite);
    told.tests.push(...tests);
    told.broken += broken;
    if (broken > 0 || tests.some(({ passed }) => !passed)) return;
  }
}

const told: Told = { tests: [], broken: 0 };
await runEverything(told).catch((error: unknown) => {
  console.error(messageOf(error));
  told.broken += 1;
});
console.log(`\n${lastLines(told.tests, told.broken).join('\n')}`);
const good = told.broken === 0 && told.tests.length > 0 && told.tests.every(({ passed }) => passed);
process.exit(good ? 0 : 1);
