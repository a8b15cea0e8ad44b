/** A llama-server or a fork's, as its own process: started, waited for, asked over HTTP, ended. */
import { spawn, type ChildProcess } from 'node:child_process';
import { closeSync, existsSync, mkdirSync, openSync } from 'node:fs';
import { createServer } from 'node:net';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { PeerMode } from './peer-option';
import type { RawPrompt } from './run';
import type { Sample } from './sample';

export interface PeerSetup {
  readonly targetPath: string;
  readonly threads: number;
  readonly contextTokens: number;
  /** Relative paths among the arguments are taken from here. */
  readonly folder: string;
  readonly logFolder: string;
}

const READY_WITHIN_MS = 120_000;

export class PeerServer {
  private constructor(
    readonly mode: PeerMode,
    private readonly child: ChildProcess,
    private readonly address: string,
  ) {}

  /** @throws where the program is missing, ends at once or never says that it is ready */
  static async start(mode: PeerMode, setup: PeerSetup): Promise<PeerServer> {
    const program = path.resolve(setup.folder, mode.program);
    if (!existsSync(program)) throw new Error(`${mode.name}: there is no program ${program}.`);
    const port = await freePort();
    mkdirSync(setup.logFolder, { recursive: true });
    const logFile = path.join(setup.logFolder, `${mode.name.replaceAll(/[^\w.-]+/g, '-')}.log`);
    const log = openSync(logFile, 'w');
    const threads = String(setup.threads);
    const args = ['-m', setup.targetPath, '-c', String(setup.contextTokens), '-np', '1', '-t', threads, '-tb', threads];
    const child = spawn(program, [...args, '--host', '127.0.0.1', '--port', String(port), ...mode.args], {
      cwd: setup.folder,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    const failed: { reason: string | null } = { reason: null };
    child.once('error', (error) => (failed.reason = error.message));
    child.once('exit', (code, signal) => (failed.reason ??= `ended with ${signal ?? `exit code ${code ?? '?'}`}`));
    const server = new PeerServer(mode, child, `http://127.0.0.1:${port}`);
    const until = performance.now() + READY_WITHIN_MS;
    while (!(await server.healthy())) {
      if (failed.reason !== null) throw new Error(`${mode.name} ${failed.reason}; see ${logFile}.`);
      if (performance.now() > until) {
        await server.stop();
        throw new Error(`${mode.name} was not ready after ${READY_WITHIN_MS / 1000} s; see ${logFile}.`);
      }
      await sleep(200);
    }
    return server;
  }

  get pid(): number | null {
    return this.child.pid ?? null;
  }

  /** One completion of the same tokens, with its own figures about it. */
  async complete(prompt: RawPrompt, temperature: number, seed: number, signal: AbortSignal): Promise<Sample> {
    const greedy = temperature === 0;
    const response = await fetch(`${this.address}/completion`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        prompt: prompt.tokens,
        n_predict: prompt.maxTokens,
        stream: false,
        cache_prompt: true,
        seed,
        // The whole distribution as ours; greedy the cheapest way there is.
        samplers: greedy ? ['top_k', 'temperature'] : ['temperature'],
        top_k: greedy ? 1 : 0,
        top_p: 1,
        min_p: 0,
        temperature: greedy ? 0 : temperature,
      }),
      signal,
    });
    const answer: unknown = await response.json();
    if (!response.ok) throw new Error(`${this.mode.name} answers ${response.status}: ${JSON.stringify(answer)}`);
    return peerSample(answer);
  }

  async stop(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null || this.child.pid === undefined) return;
    const ended = new Promise<void>((resolve) => this.child.once('exit', () => resolve()));
    this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  }

  private async healthy(): Promise<boolean> {
    try {
      return (await fetch(`${this.address}/health`, { signal: AbortSignal.timeout(2000) })).ok;
    } catch {
      return false;
    }
  }
}

/**
 * What an answer of `/completion` says. Its clock runs from the prompt's end, which gives the first token, to the last
 * token, as ours does.
 * @throws where the answer has no text or no timings
 */
export function peerSample(answer: unknown): Sample {
  const { content, timings }: Record<string, unknown> = { ...asObject(answer) };
  const told: Record<string, unknown> = { ...asObject(timings) };
  const { predicted_n: tokens, predicted_ms: ms, draft_n: drafted = 0, draft_n_accepted: accepted = 0 } = told;
  if (typeof content !== 'string' || typeof tokens !== 'number' || typeof ms !== 'number') {
    throw new Error('The answer of /completion has no text or no timings.');
  }
  if (typeof drafted !== 'number' || typeof accepted !== 'number') {
    throw new Error('The timings of /completion count drafts, but not as numbers.');
  }
  const decodedTokens = Math.max(0, tokens - 1);
  return {
    text: content,
    tokens,
    verifications: tokens - accepted,
    decodedTokens,
    decodingMs: decodedTokens === 0 ? 0 : ms,
    draftMs: null,
    verifyMs: null,
    drafted,
    accepted,
    tested: [],
    passed: [],
  };
}

function asObject(value: unknown): object {
  return typeof value === 'object' && value !== null ? value : {};
}

function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => {
        if (typeof address === 'object' && address !== null) resolve(address.port);
        else reject(new Error('No free port.'));
      });
    });
  });
}
