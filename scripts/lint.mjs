// `npm run lint [-- --fix]`: every formatter and linter of the project. Needs a build (compile commands, bundles).
import { existsSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { ROOT } from './build.mjs';
import { isMain, run, runMain } from './process.mjs';
import { listFiles } from './stamp.mjs';
import { ensureTools } from './tools.mjs';

const CPP = /\.(cpp|h)$/;

/** Runs all checks and reports each; the names of those that failed and the number that ran. */
export async function lint({ fix = false } = {}) {
  const failed = [];
  let ran = 0;
  let skipped = 0;
  /** Several lists of arguments run side by side. */
  const check = async (name, command, ...argumentLists) => {
    ran += 1;
    try {
      await Promise.all(argumentLists.map((args) => run(command, args, { cwd: ROOT })));
      console.log(`✓ ${name}`);
    } catch (error) {
      console.log(`✗ ${name}: ${error.message}`);
      failed.push(name);
    }
  };
  const node = (script, ...args) => [process.execPath, [path.join(ROOT, 'node_modules', script), ...args]];

  await check('TypeScript', ...node('typescript/bin/tsc', '--noEmit', '-p', ROOT));
  await check('ESLint', ...node('eslint/bin/eslint.js', '.', '--max-warnings', '0', ...(fix ? ['--fix'] : [])));
  await check(
    'Prettier',
    ...node('prettier/bin/prettier.cjs', fix ? '--write' : '--check', '--log-level', 'warn', '.'),
  );

  const tools = await ensureTools(ROOT);
  if (tools === null) skipped += 3;
  else {
    const sources = listFiles(ROOT, ['native']).filter((file) => CPP.test(file));
    await check(
      'clang-format',
      path.join(tools, 'clang-format'),
      fix ? ['-i', ...sources] : ['--dry-run', '--Werror', ...sources],
    );
    const database = path.join(ROOT, 'build/native/compile_commands.json');
    if (existsSync(database)) {
      // The kernels are built by a project of their own, without compile commands here.
      const units = sources.filter((file) => file.endsWith('.cpp') && !file.startsWith(path.join('native', 'kernels')));
      const options = ['--quiet', '--warnings-as-errors=*', '-p', path.dirname(database)];
      // A file takes some three seconds: one process for each core.
      const jobs = os.availableParallelism();
      const shares = Array.from({ length: jobs }, (_, job) => units.filter((_, index) => index % jobs === job));
      await check('clang-tidy', path.join(tools, 'clang-tidy'), ...shares.map((share) => [...options, ...share]));
    } else {
      console.log('SKIP clang-tidy: build/native/compile_commands.json is missing; run `npm run build` first.');
      skipped += 1;
    }
    await check('ruff', path.join(tools, 'ruff'), ['check', ...(fix ? ['--fix'] : []), 'training', 'bench/gpu']);
    await check('ruff format', path.join(tools, 'ruff'), [
      'format',
      ...(fix ? [] : ['--check']),
      'training',
      'bench/gpu',
    ]);
  }
  return { ran, failed, skipped };
}

if (isMain(import.meta.url)) {
  runMain(async () => {
    const { failed } = await lint({ fix: process.argv.includes('--fix') });
    if (failed.length > 0)
      throw new Error(`Failed: ${failed.join(', ')}. \`npm run lint -- --fix\` mends what can be mended.`);
  });
}
