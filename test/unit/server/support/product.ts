/** The product's own bundles, made for the tests, and what they need to run for real. */
import { existsSync, mkdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

export const ROOT = resolve(__dirname, '../../../..');
export const BUNDLES = join(ROOT, 'build', 'test-server');
export const TARGET = join(ROOT, 'models/cache/SmolLM2-135M-Instruct.Q4_1.gguf');
export const NATIVE = join(ROOT, 'dist', 'native', `${process.platform}-${process.arch}`);

/** Why the engine cannot run here, or null; tests that need it say so when they are skipped. */
export function engineMissing(): string | null {
  if (!existsSync(join(NATIVE, 'specdiff.node'))) return `the native engine is not built (npm run build): ${NATIVE}`;
  if (!existsSync(TARGET)) return `the default target is not fetched (npm run build): ${TARGET}`;
  return null;
}

/** Name of a suite, with the reason when it is going to be skipped. */
export function named(suite: string): string {
  const missing = engineMissing();
  return missing === null ? suite : `${suite} [SKIP: ${missing}]`;
}

export async function bundleServer(): Promise<void> {
  mkdirSync(BUNDLES, { recursive: true });
  await build({
    absWorkingDir: ROOT,
    entryPoints: { server: 'server/main.ts', engine: 'server/engine/process.ts', cli: 'server/cli/main.ts' },
    outdir: BUNDLES,
    bundle: true,
    platform: 'node',
    format: 'cjs',
    target: 'node20',
    logLevel: 'silent',
  });
}
