import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // One VS Code, one browser and one engine at a time: together they fill two cores.
    fileParallelism: false,
    pool: 'forks',
    include: ['test/e2e/**/*.test.ts'],
    globalSetup: ['test/e2e/setup.ts'],
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
