/**
 * The ARM kernels, cross-compiled and run under emulation (qemu-user) with llama.cpp's own ARM libraries: that their
 * results are right, not how fast they are. Part of `npm run test:kernels`; on an ARM machine kernels.test.ts tests them.
 */
import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildKernels, type KernelBuild } from '../../scripts/kernels.mjs';
import { CACHE_TYPES, WEIGHT_TYPES, expectAttention, expectLayers, expectProducts } from './expectations';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINUTES = 60_000;
/** Where Debian's cross compiler keeps the C library. */
const LIBRARIES = '/usr/aarch64-linux-gnu';
const EMULATOR = 'qemu-aarch64';

const PREBUILT = 'node_modules/@node-llama-cpp/linux-arm64';

const missing = [
  ...['aarch64-linux-gnu-gcc', 'aarch64-linux-gnu-g++', EMULATOR, 'cmake'].filter(
    (program) => spawnSync(program, ['--version']).status !== 0,
  ),
  ...[PREBUILT].filter((folder) => !existsSync(path.join(ROOT, folder))),
];
const reason =
  process.arch === 'arm64'
    ? 'this is an ARM machine'
    : process.env['SPECDIFF_KERNEL_TESTS'] !== 'full'
      ? 'part of `npm run test:kernels`'
      : missing.length > 0
        ? `missing: ${missing.join(', ')}`
        : null;

describe.skipIf(reason !== null)(`ARM kernels under emulation${reason === null ? '' : ` [SKIP: ${reason}]`}`, () => {
  let built: KernelBuild;

  const check = (cpu: string, kernels: string, ...args: string[]): Promise<string> =>
    run('kernel_check', cpu, kernels, ...args);

  /** Runs a checking program on an emulated CPU. */
  async function run(program: string, cpu: string, kernels: string, ...args: string[]): Promise<string> {
    const emulated = ['-cpu', cpu, '-L', LIBRARIES, '-E', `LD_LIBRARY_PATH=${built.prebuilt}`];
    const { stdout } = await promisify(execFile)(
      EMULATOR,
      [...emulated, path.join(built.build, program), built.library, ...args],
      { maxBuffer: 1 << 26, env: { ...process.env, SPECDIFF_KERNELS: kernels } },
    );
    return stdout;
  }

  beforeAll(async () => {
    // The generation with both kernels and nothing in llama.cpp's code that is slow to emulate (SVE).
    built = await buildKernels(ROOT, 'armv8.6_nosve', { tools: true, platform: 'linux-arm64' });
  }, 20 * MINUTES);

  it.each([
    { cpu: 'max', kernels: ['neon-i8mm', 'neon-dotprod'] },
    { cpu: 'neoverse-n1', kernels: ['neon-dotprod'] },
    { cpu: 'cortex-a72', kernels: [] },
  ])('are chosen by what the system says of the CPU: $cpu', async ({ cpu, kernels }) => {
    expect((await check(cpu, '', 'kernels')).trim().split('\n').filter(Boolean)).toEqual(kernels);
  });

  it('are not loaded where the CPU lacks what the library is compiled for', async () => {
    await expect(check('neoverse-n1', '', 'matrix', 'q4_0')).rejects.toThrow('the library could not be loaded');
  });

  describe.each(['neon-dotprod', 'neon-i8mm'])('%s', (kernels) => {
    it.each(WEIGHT_TYPES)(
      'multiply %s like double precision, in any batch, with any row count',
      async (type) => {
        expectProducts(type, await check('max', kernels, 'matrix', type), false, false);
      },
      20 * MINUTES,
    );
  });

  // Both tables share one attention.
  it.each(CACHE_TYPES)(
    'attend over an %s cache like double precision, in any batch, whatever lies between',
    async (type) => {
      expectAttention(await check('max', '', 'attention', type, 'quick'), true, false);
    },
    20 * MINUTES,
  );

  it(
    'compute nodes together to what they are one by one, on any number of threads',
    async () => {
      expectLayers(await run('layer_check', 'max', ''));
    },
    20 * MINUTES,
  );
});
