// Types of vscode-server.mjs for the tests.
export interface InstalledServer {
  readonly node: string;
  readonly main: string;
}
export interface ServerOptions {
  readonly directory: string;
  readonly server: InstalledServer;
  readonly extension?: string;
  readonly vsix?: string;
  readonly settings?: Readonly<Record<string, unknown>>;
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  readonly port?: number;
  readonly env?: NodeJS.ProcessEnv;
  readonly smokeTestDriver?: boolean;
}
export interface RunningServer {
  readonly url: string;
  readonly port: number;
  readonly pid: number;
  readonly log: string;
  readonly ended: Promise<unknown>;
  stop(): Promise<void>;
}
export const QUIET_SETTINGS: Readonly<Record<string, unknown>>;
export function ensureVsCodeServer(root: string): Promise<InstalledServer>;
export function linkExtension(extensionsDir: string, extension: string): void;
export function startVsCodeServer(options: ServerOptions): Promise<RunningServer>;
