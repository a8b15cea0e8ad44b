/** The server's log: to the client's output channel, the last problems kept for the diagnostics. */
import type { Connection } from 'vscode-languageserver/node';
import type { LogLevel } from '../engine/child';

const KEPT = 20;

export class Log {
  private readonly problems: string[] = [];

  constructor(private readonly connection: Connection) {}

  readonly write = (level: LogLevel, text: string): void => {
    const { console } = this.connection;
    if (level === 'error') console.error(text);
    else if (level === 'warning') console.warn(text);
    else if (level === 'info') console.info(text);
    else console.debug(text);
    if (level !== 'error' && level !== 'warning') return;
    this.problems.push(`${new Date().toISOString()} ${level}: ${text}`);
    if (this.problems.length > KEPT) this.problems.shift();
  };

  get lastProblems(): readonly string[] {
    return this.problems;
  }
}
