/**
 * Picks the CPU backend library: the one with our kernels (native/kernels) before llama.cpp's own, which their scores see
 * to. A library that the feature test likes may still trap (virtual machines that announce AMX and raise SIGILL), so each
 * candidate computes small matrices and attention in a child process first; the first whose results are right is taken
 * and remembered.
 */
import type { ChildProcess } from 'node:child_process';
import type { KernelChoice } from '../../protocol/settings';
import { abortError } from '../abort';
import type { CpuLibrary } from './addon';
import { describeExit } from './crash';
import type { ProbeMessage } from './probe-child';
import { spawnEngine } from './spawn';
import type { VerdictStore } from './verdicts';

/** A probe that neither passes nor dies by then is killed; the library is skipped this time, and not remembered as bad. */
const PROBE_LIMIT_MS = 60_000;

export interface CpuChoice {
  /** File name; null where the folder has none (the backend is built in). */
  readonly cpuLibrary: string | null;
  /** Why the library is not the one with our kernels; null where it is. */
  readonly kernelsNote: string | null;
}

/** The name says whose kernels a library holds (scripts/kernels.mjs). */
const hasOurKernels = (file: string): boolean => file.includes('-specdiff-');

export class CpuLibraryPicker {
  constructor(
    private readonly enginePath: string,
    private readonly verdicts: VerdictStore,
    private readonly log: (text: string) => void,
  ) {}

  /** The best library that runs here. */
  async pick(nativeDirectory: string, kernels: KernelChoice, signal: AbortSignal): Promise<CpuChoice> {
    const libraries = await this.list(nativeDirectory, signal);
    if (libraries.length === 0) return { cpuLibrary: null, kernelsNote: 'CPU kernels: none for this platform' };
    const candidates = libraries.filter(({ file, score }) => score > 0 && (kernels === 'auto' || !hasOurKernels(file)));
    const failed: string[] = [];
    for (const { file } of candidates) {
      const known = await this.verdicts.verdict(nativeDirectory, file);
      if (known === 'good' || (known === undefined && (await this.probe(nativeDirectory, file, signal)))) {
        return { cpuLibrary: file, kernelsNote: hasOurKernels(file) ? null : kernelsNote(libraries, kernels, failed) };
      }
      failed.push(file);
    }
    throw new Error(
      'None of the CPU libraries that came with the extension runs on this processor; copy the diagnostics and report it.',
    );
  }

  /** The library trapped after its probe had passed; `pick` will not name it again. */
  async markBad(nativeDirectory: string, file: string): Promise<void> {
    this.log(`CPU library ${file} met an illegal instruction; it is not used on this machine any more.`);
    await this.verdicts.remember(nativeDirectory, file, 'bad');
  }

  private async list(nativeDirectory: string, signal: AbortSignal): Promise<readonly CpuLibrary[]> {
    const known = await this.verdicts.listing(nativeDirectory);
    if (known !== undefined) return known;
    const child = await this.runChild(['--list-cpu-libraries', nativeDirectory], signal);
    if (child.libraries === null) {
      throw new Error(`The CPU libraries in ${nativeDirectory} could not be listed (${child.ended}); ${child.output}`);
    }
    await this.verdicts.rememberListing(nativeDirectory, child.libraries);
    return child.libraries;
  }

  private async probe(nativeDirectory: string, file: string, signal: AbortSignal): Promise<boolean> {
    const child = await this.runChild(['--probe', nativeDirectory, file], signal);
    if (!child.begun) throw new Error(`The engine could not be started (${child.ended}). ${child.output}`);
    if (child.passed) {
      this.log(`CPU library ${file} probed: it runs on this machine.`);
      await this.verdicts.remember(nativeDirectory, file, 'good');
      return true;
    }
    this.log(`CPU library ${file} probed: it is not used on this machine (${child.ended}). ${child.output}`);
    if (!child.timedOut) await this.verdicts.remember(nativeDirectory, file, 'bad');
    return false;
  }

  private runChild(args: readonly string[], signal: AbortSignal): Promise<ProbeOutcome> {
    return new Promise((resolve, reject) => {
      const child = spawnEngine(this.enginePath, args);
      const outcome = { begun: false, passed: false, timedOut: false, libraries: noLibraries, output: '' };
      const limit = setTimeout(() => {
        outcome.timedOut = true;
        child.kill('SIGKILL');
      }, PROBE_LIMIT_MS);
      const onAbort = (): void => void child.kill('SIGKILL');
      signal.addEventListener('abort', onAbort, { once: true });
      let settled = false;
      const settle = (finish: () => void): void => {
        if (settled) return;
        settled = true;
        clearTimeout(limit);
        signal.removeEventListener('abort', onAbort);
        finish();
      };
      collectOutput(child, (text) => (outcome.output = (outcome.output + text).slice(-500)));
      child.on('message', (message: unknown) => {
        if (!isProbeMessage(message)) return;
        if (message.probe === 'begun') outcome.begun = true;
        else if (message.probe === 'passed') outcome.passed = true;
        else if (message.probe === 'failed') outcome.output = message.reason;
        else outcome.libraries = message.libraries;
      });
      child.once('error', (error) => settle(() => reject(error)));
      // 'close' comes after 'exit' and after the streams have ended.
      child.once('close', (code, exitSignal) =>
        settle(() => {
          if (signal.aborted) reject(abortError());
          else {
            const clean = code === 0;
            resolve({ ...outcome, passed: outcome.passed && clean, ended: describeExit(code, exitSignal) });
          }
        }),
      );
      if (signal.aborted) onAbort();
    });
  }
}

function kernelsNote(libraries: readonly CpuLibrary[], kernels: KernelChoice, failed: readonly string[]): string {
  const ours = libraries.filter(({ file }) => hasOurKernels(file));
  if (kernels === 'stock') return 'CPU kernels: not used, the setting chooses llama.cpp’s own';
  if (ours.length === 0) return 'CPU kernels: not used, none were built for this platform';
  const [bad] = ours.filter(({ file }) => failed.includes(file));
  return bad === undefined
    ? 'CPU kernels: not used, there are none for this processor'
    : `CPU kernels: not used, ${bad.file} failed on this machine`;
}

interface ProbeOutcome {
  readonly begun: boolean;
  readonly passed: boolean;
  readonly timedOut: boolean;
  readonly libraries: readonly CpuLibrary[] | null;
  readonly output: string;
  readonly ended: string;
}

const noLibraries: readonly CpuLibrary[] | null = null;

function collectOutput(child: ChildProcess, add: (text: string) => void): void {
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8');
    stream?.on('data', (text: string) => add(text));
  }
}

function isProbeMessage(value: unknown): value is ProbeMessage {
  return typeof value === 'object' && value !== null && 'probe' in value;
}
