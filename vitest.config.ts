import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const MINUTE = 60_000;

/** These take longest, and begin first: else all the others end, and one of these goes on alone. */
const LONGEST = ['chaos.e2e.test.ts', 'apps.e2e.test.ts'];

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification): boolean =>
      LONGEST.some((name) => moduleId.endsWith(`/${name}`));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], maxWorkers: 2, testTimeout: 30_000 } },
      // Hostile input, tried on real repositories and files until it is refused; no engine.
      {
        test: {
          name: 'hostile',
          include: ['test/hostile/**/*.test.ts'],
          maxWorkers: 2,
          testTimeout: 2 * MINUTE,
          hookTimeout: MINUTE,
        },
      },
      // These start a Temporal dev server each and answer its activities with fakes: most of their time is waiting.
      {
        test: {
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts'],
          globalSetup: ['test/built.ts', 'test/temporal-binary.ts'],
          maxWorkers: 3,
          testTimeout: 2 * MINUTE,
          hookTimeout: 2 * MINUTE,
        },
      },
      {
        test: {
          name: 'replay',
          include: ['test/replay/**/*.test.ts'],
          globalSetup: ['test/built.ts'],
          testTimeout: 2 * MINUTE,
        },
      },
      // How it is installed on a host, judged by systemd-analyze and nix-instantiate.
      {
        test: {
          name: 'install',
          include: ['test/install/**/*.test.ts'],
          globalSetup: ['test/built.ts'],
          testTimeout: MINUTE,
        },
      },
      // These deploy on the one swarm of this machine, each file with a zone and a state folder of its own, three files
      // side by side: most of their time is waiting. What is real fails at times for reasons of the machine, so a
      // failed test is tried once more, and is named if it passes then.
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.test.ts'],
          globalSetup: ['test/built.ts', 'test/temporal-binary.ts'],
          pool: 'forks',
          maxWorkers: 3,
          retry: 1,
          testTimeout: 30 * MINUTE,
          hookTimeout: 30 * MINUTE,
        },
      },
    ],
  },
});
