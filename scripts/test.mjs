// `npm test`: sets everything up, runs every check and test, and closes with a count of what ran.
import { existsSync, readFileSync, rmSync } from 'node:fs';
import path from 'node:path';
import { ROOT, build } from './build.mjs';
import { run, runMain } from './process.mjs';

const total = { passed: 0, failed: 0, skipped: 0 };

/** Adds up a part; a part that broke off before it could count anything counts as one failure. */
async function part(name, execute) {
  const started = Date.now();
  console.log(`\n== ${name}`);
  let counts;
  try {
    counts = await execute();
  } catch (error) {
    console.error(`${name} broke off: ${error instanceof Error ? error.message : String(error)}`);
    counts = { passed: 0, failed: 1, skipped: 0 };
  }
  for (const key of Object.keys(total)) total[key] += counts[key];
  const seconds = Math.round((Date.now() - started) / 1000);
  console.log(`-- ${name}: ${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped (${seconds} s)`);
}

/** Runs vitest with a config and reads the counts from its JSON report, whatever its exit code. */
async function vitest(config) {
  const report = path.join(ROOT, 'build/test-results', `${path.basename(config, '.ts')}.json`);
  rmSync(report, { force: true });
  const script = path.join(ROOT, 'node_modules/vitest/vitest.mjs');
  const args = [
    script,
    'run',
    '--config',
    path.join(ROOT, config),
    '--reporter=default',
    '--reporter=json',
    `--outputFile.json=${report}`,
  ];
  const failure = await run(process.execPath, args, { cwd: ROOT }).then(
    () => null,
    (error) => error,
  );
  if (!existsSync(report)) throw failure ?? new Error('vitest wrote no report');
  const result = JSON.parse(readFileSync(report, 'utf8'));
  const counts = { passed: result.numPassedTests, failed: result.numFailedTests, skipped: result.numPendingTests };
  // A file that fails to load has no tests to count.
  if (failure !== null && counts.failed === 0) counts.failed = 1;
  return counts;
}

runMain(async () => {
  await build();

  await part('Lint', async () => {
    const { lint } = await import('./lint.mjs');
    const { ran, failed, skipped } = await lint();
    return { passed: ran - failed.length, failed: failed.length, skipped };
  });
  await part('Unit, native, kernel, fault and parity tests', () => vitest('vitest.config.ts'));
  await part('End to end in a VS Code server', async () => {
    const { ensureChromium } = await import('./chromium.mjs');
    const chromium = await ensureChromium({ install: true });
    if (chromium.path === null) {
      console.log(`SKIP end-to-end tests: ${chromium.reason}`);
      return { passed: 0, failed: 0, skipped: 1 };
    }
    return vitest('vitest.e2e.config.ts');
  });
  await part('Desktop VS Code', async () => {
    const { runDesktopSuite } = await import('./desktop.mjs');
    return runDesktopSuite();
  });

  console.log(`\n${total.passed} passed, ${total.failed} failed, ${total.skipped} skipped`);
  if (total.failed > 0) process.exitCode = 1;
});
