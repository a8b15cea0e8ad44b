/**
 * The kernels for AVX-512 VNNI, AVX-VNNI and AMX on whatever x86 CPU this is: their instructions emulated one by one
 * (emulated/), the operations around them the product's own. Part of `npm run test:kernels`.
 */
import { execFile, spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { promisify } from 'node:util';
import { beforeAll, describe, expect, it } from 'vitest';
import { checkOutLlama, prebuiltFolder } from '../../scripts/llama.mjs';
import { CACHE_TYPES, WEIGHT_TYPES, expectAttention, expectProducts, parseLines } from './expectations';

const ROOT = path.resolve(import.meta.dirname, '../..');
const MINUTES = 60_000;

interface Report {
  emulated: string[];
  /** Sum over the bits of all results. */
  bits: string;
}

const linux = process.platform === 'linux' && process.arch === 'x64';
const flags = new Set(
  linux ? (/^flags\s*:(.*)$/m.exec(readFileSync('/proc/cpuinfo', 'utf8'))?.[1] ?? '').trim().split(/\s+/) : [],
);
const missing = [
  ...['avx2', 'fma', 'f16c'].filter((flag) => !flags.has(flag)),
  ...['cmake', 'g++'].filter((program) => spawnSync(program, ['--version']).status !== 0),
];
const reason = !linux
  ? 'not Linux on x86-64'
  : process.env['SPECDIFF_KERNEL_TESTS'] !== 'full'
    ? 'part of `npm run test:kernels`'
    : missing.length > 0
      ? `missing: ${missing.join(', ')}`
      : null;

/** Each table, an instruction without which it would not be the one that is meant, whether prompts have their own. */
const TABLES = [
  { table: 'avx512vnni', instruction: 'vpdpbusd (EVEX)', prompts: false },
  { table: 'avxvnni', instruction: 'vpdpbusd (VEX)', prompts: false },
  { table: 'amx', instruction: 'tdpbf16ps', prompts: true },
];
/** AVX-VNNI's table has AVX2's attention. */
const ATTENTION = [
  { table: 'avx512vnni', instruction: 'vscalefps {k}{z}', prompts: false },
  { table: 'amx', instruction: 'tdpbf16ps', prompts: true },
];

describe.skipIf(reason !== null)(`x86 kernels under emulation${reason === null ? '' : ` [SKIP: ${reason}]`}`, () => {
  const run = promisify(execFile);
  const build = path.join(ROOT, 'build/kernels/emulated');

  /** Lines of kernel_check, and what the table reports after them. */
  async function check(...args: string[]): Promise<{ lines: string; report: Report }> {
    const { stdout } = await run(path.join(build, 'kernel_check'), args, { maxBuffer: 1 << 26 });
    const text = stdout.trim();
    const [report] = parseLines<Report>(text.slice(text.lastIndexOf('\n') + 1));
    if (report === undefined) throw new Error('no report');
    return { lines: text.slice(0, text.lastIndexOf('\n')), report };
  }

  beforeAll(async () => {
    const settings = { LLAMA_SOURCE: await checkOutLlama(ROOT), LLAMA_BINARIES: prebuiltFolder(ROOT) };
    const definitions = Object.entries(settings).map(([key, value]) => `-D${key}=${value}`);
    await run('cmake', ['-S', path.join(import.meta.dirname, 'emulated'), '-B', build, ...definitions]);
    await run('cmake', ['--build', build, '--parallel', String(os.availableParallelism())], { maxBuffer: 1 << 26 });
  }, 20 * MINUTES);

  // AVX2 runs on the CPU itself. All sums of integers are exact and the float operations the same, so that its bits are
  // also the check of the emulation by hardware. A prompt's products are rounded in another way.
  it.each(WEIGHT_TYPES)(
    'multiply %s like double precision, in any batch, with any row count, and like the AVX2 of this CPU to the bit',
    async (type) => {
      const { report: native } = await check('avx2', 'matrix', type);
      expect(native.emulated).toEqual([]);
      for (const { table, instruction, prompts } of TABLES) {
        const { lines, report } = await check(table, 'matrix', type);
        expectProducts(type, lines, false, prompts);
        expect(report.emulated, table).toContain(instruction);
        if (!prompts) expect(report.bits, table).toBe(native.bits);
      }
    },
    20 * MINUTES,
  );

  it.each(CACHE_TYPES)(
    'attend over an %s cache like double precision, in any batch, whatever lies between',
    async (type) => {
      for (const { table, instruction, prompts } of ATTENTION) {
        const { lines, report } = await check(table, 'attention', type, 'quick');
        expectAttention(lines, true, prompts);
        expect(report.emulated, table).toContain(instruction);
        console.log(`emulated by ${table} for an ${type} cache: ${report.emulated.join(', ')}`);
      }
    },
    20 * MINUTES,
  );
});
