import { defineConfig } from 'vitest/config';

/** The opt-in CPU kernels: builds them first, so it is not part of `npm test`. */
export default defineConfig({
  test: { include: ['test/kernels/**/*.test.ts'], fileParallelism: false, pool: 'forks' },
});
