// Finds or installs what the end-to-end tests need, once for all files; says in one line why they are skipped.
import path from 'node:path';
import type { TestProject } from 'vitest/node';
import { findEnvironment, type Environment } from './harness/environment';

declare module 'vitest' {
  interface ProvidedContext {
    environment: Environment | null;
  }
}

export default async function setup(project: TestProject): Promise<void> {
  const found = await findEnvironment(path.resolve(import.meta.dirname, '../..'));
  if ('reason' in found) console.log(`SKIP end-to-end tests: ${found.reason}`);
  project.provide('environment', 'reason' in found ? null : found);
}
