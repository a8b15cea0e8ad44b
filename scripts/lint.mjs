// `npm run lint [-- --fix]`: every formatter and linter of the project. Needs a build (compile commands, bundles).
import { existsSync } from 'node:fs';
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
  const check = async (name, command, args) => {
    ran += 1;
    try {
      await run(command, args, { cwd: ROOT });
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
      await check('clang-tidy', path.join(tools, 'clang-tidy'), [
        '--quiet',
        '--warnings-as-errors=*',
        '-p',
        path.dirname(database),
        ...units,
      ]);
    } else {
      console.log('SKIP clang-tidy: build/native/compile_commands.json is missing; run `npm run build` first.');
      skipped += 1;
    }
    await check('ruff', path.join(tools, 'ruff'), ['check', ...(fix ? ['--fix'] : []), 'training']);
    await check('ruff format', path.join(tools, 'ruff'), ['format', ...(fix ? [] : ['--check']), 'training']);
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
