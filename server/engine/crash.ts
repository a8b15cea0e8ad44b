/** How a child process ended, in words and in kind. */

/** The engine process ended while a job needed it. */
export class EngineCrashError extends Error {
  constructor(
    message: string,
    /** The CPU met an instruction that it cannot run: the CPU library's doing. */
    readonly illegalInstruction: boolean,
  ) {
    super(message);
    this.name = 'EngineCrashError';
  }
}

const STATUS_ILLEGAL_INSTRUCTION = 0xc000001d;

export function isIllegalInstruction(code: number | null, signal: NodeJS.Signals | null): boolean {
  return signal === 'SIGILL' || (code !== null && code >>> 0 === STATUS_ILLEGAL_INSTRUCTION);
}

export function describeExit(code: number | null, signal: NodeJS.Signals | null): string {
  return signal !== null ? `signal ${signal}` : `exit code ${code ?? 'unknown'}`;
}
