import path from 'node:path';
import { defineConfig } from 'vitest/config';
import { BaseSequencer, type TestSpecification } from 'vitest/node';

const MINUTE = 60_000;

/** These take longest, and begin first: else all the others end, and one of these goes on alone. */
const LONGEST = [
  'chaos',
  'apps',
  'swarm-deployer',
  'sweep',
  'services',
  'compose',
  'demo',
  'quick-lane',
  'pull-requests',
  'hostile',
  'bench',
  'realms',
  'move',
  'faults',
  'catalogue',
  'abra',
].map((name) => `${name}.e2e.test.ts`);

class LongestFirst extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const rank = ({ moduleId }: TestSpecification): number => {
      const place = LONGEST.indexOf(path.basename(moduleId));
      return place === -1 ? LONGEST.length : place;
    };
    return (await super.sort(files)).toSorted((a, b) => rank(a) - rank(b));
  }
}

export default defineConfig({
  test: {
    sequence: { sequencer: LongestFirst },
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/unit/**/*.test.ts'],
          maxWorkers: 3,
          maxConcurrency: 12,
          testTimeout: 30_000,
        },
      },
      // Hostile input, tried on real repositories and files until it is refused; no engine.
      {
        test: {
          name: 'hostile',
          include: ['test/hostile/**/*.test.ts'],
          maxWorkers: 3,
          testTimeout: 2 * MINUTE,
          hookTimeout: MINUTE,
        },
      },
      // These start a Temporal dev server each and answer its activities with fakes: much of their time is waiting.
      {
        test: {
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts'],
          globalSetup: ['test/built.ts', 'test/temporal-binary.ts'],
          maxWorkers: 4,
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
      // These deploy on the one swarm of this machine, each file with a zone and a state folder of its own, four files
      // side by side: one alone is waiting most of its time. What is real fails at times for reasons of the machine, so a
      // failed test is tried once more, and is named if it passes then.
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.test.ts'],
          globalSetup: ['test/built.ts', 'test/temporal-binary.ts'],
          pool: 'forks',
          maxWorkers: 4,
          retry: 1,
          testTimeout: 30 * MINUTE,
          hookTimeout: 30 * MINUTE,
        },
      },
    ],
  },
});
