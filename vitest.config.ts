import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    // Engines take both cores and 150 MB each: one file after the other.
    fileParallelism: false,
    pool: 'forks',
    include: ['test/{unit,native,faults,parity,kernels}/**/*.test.ts'],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    reporters: ['default', 'json'],
    outputFile: { json: 'build/test-results/vitest.json' },
  },
});
