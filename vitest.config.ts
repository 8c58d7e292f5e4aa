import { defineConfig } from 'vitest/config';

const MINUTE = 60_000;

export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['test/unit/**/*.test.ts'], testTimeout: 30_000 } },
      // Hostile input, tried on real repositories and files until it is refused; no engine.
      { test: { name: 'hostile', include: ['test/hostile/**/*.test.ts'], testTimeout: 2 * MINUTE } },
      // These start a Temporal dev server and answer its activities with fakes.
      {
        test: {
          name: 'workflow',
          include: ['test/workflow/**/*.test.ts'],
          globalSetup: ['test/temporal-binary.ts'],
          testTimeout: 2 * MINUTE,
          hookTimeout: 2 * MINUTE,
        },
      },
      { test: { name: 'replay', include: ['test/replay/**/*.test.ts'], testTimeout: 2 * MINUTE } },
      // These deploy on the one swarm of this machine, so never two files at once.
      {
        test: {
          name: 'e2e',
          include: ['test/e2e/**/*.e2e.test.ts'],
          globalSetup: ['test/temporal-binary.ts'],
          pool: 'forks',
          fileParallelism: false,
          testTimeout: 30 * MINUTE,
          hookTimeout: 30 * MINUTE,
        },
      },
    ],
  },
});
