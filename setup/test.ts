import { fileURLToPath } from 'node:url';
import { startVitest, type Vitest } from 'vitest/node';
import { messageOf } from '../domain/fault.ts';
import { ALL_IMAGES } from './images/catalogue.ts';
import { setUp } from './main.ts';
import { machine } from './machine.ts';

/** `npm test`: everything, in order, until something fails. Its last line is `N passed, N failed`. */

/** Scripts of package.json, each with its headline. */
const CHECKS = {
  'format:check': 'format',
  lint: 'lint',
  types: 'types',
  unused: 'unused code',
} as const;

/** Projects of vitest.config.ts. */
const SUITES = ['unit', 'workflow', 'replay', 'hostile', 'e2e'] as const;

const clone = fileURLToPath(new URL('..', import.meta.url));

interface Counts {
  passed: number;
  failed: number;
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
async function runSuite(project: string): Promise<Counts> {
  const vitest = await startVitest('test', [], { root: clone, project: [project], watch: false, run: true });
  const counts = count(vitest);
  await vitest.close();
  if (counts.passed + counts.failed === 0) console.log(`no ${project} test was run`);
  return counts.passed === 0 ? { passed: 0, failed: Math.max(counts.failed, 1) } : counts;
}

function count(vitest: Vitest): Counts {
  let [passed, failed] = [0, vitest.state.getUnhandledErrors().length];
  for (const file of vitest.state.getTestModules()) {
    const tests = [...file.children.allTests()];
    const good = tests.filter((test) => test.result().state === 'passed').length;
    passed += good;
    // a file that could not be loaded, or whose set-up or teardown failed, has no failed test to show for it
    failed += tests.length > good || file.ok() ? tests.length - good : 1;
  }
  return { passed, failed };
}

async function runEverything(): Promise<Counts> {
  const total: Counts = { passed: 0, failed: 0 };
  headline('set-up');
  await setUp(console.log, { images: ALL_IMAGES, tests: true });
  for (const [script, text] of Object.entries(CHECKS)) {
    headline(text);
    if (!(await check(script))) return { ...total, failed: 1 };
    console.log('ok');
  }
  for (const suite of SUITES) {
    headline(`${suite} tests`);
    const { passed, failed } = await runSuite(suite);
    total.passed += passed;
    total.failed += failed;
    if (failed > 0) break;
  }
  return total;
}

const counts = await runEverything().catch((error: unknown) => {
  console.error(messageOf(error));
  return { passed: 0, failed: 1 };
});
console.log(`\n${counts.passed} passed, ${counts.failed} failed`);
process.exit(counts.failed === 0 ? 0 : 1);
