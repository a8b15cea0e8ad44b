// The VS Code server that npm ships (inside code-server), for the end-to-end tests and for `npm start` without a
// desktop VS Code: installed once into build/vscode-server/, started on 127.0.0.1 in a process group of its own.
// Uses only Node's own modules, since it may run before the dependencies are installed.
import { spawn } from 'node:child_process';
import {
  closeSync,
  cpSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isMain, run, runMain } from './process.mjs';
import { hashFiles, onlyWhenChanged } from './stamp.mjs';

/** The server's own language: Node 24. */
const NODE_MAJOR = 24;
/** code-server's own set-up downloads and compiles what only its own front end needs. */
const NPM_FLAGS = ['--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
const STOP_GRACE_MS = 5000;

/** What makes a fresh VS Code quiet: no welcome pages, no AI chat of its own, no update checks. */
export const QUIET_SETTINGS = {
  'chat.commandCenter.enabled': false,
  'chat.disableAIFeatures': true,
  'extensions.autoCheckUpdates': false,
  'extensions.autoUpdate': false,
  'security.workspace.trust.enabled': false,
  'telemetry.telemetryLevel': 'off',
  'workbench.secondarySideBar.defaultVisibility': 'hidden',
  'workbench.startupEditor': 'none',
  'workbench.tips.enabled': false,
};

/**
 * The Node to start the server with: npm's on Linux, this one elsewhere when it is new enough.
 * @returns {{ node: string } | { reason: string }}
 */
function serverNode(folder) {
  if (process.platform === 'linux' && (process.arch === 'x64' || process.arch === 'arm64')) {
    return { node: path.join(folder, `node_modules/node-linux-${process.arch}/bin/node`) };
  }
  if (Number(process.versions.node.split('.')[0]) >= NODE_MAJOR) return { node: process.execPath };
  return {
    reason: `the VS Code server needs Node ${NODE_MAJOR} here and this is ${process.versions.node}; install Node ${NODE_MAJOR}, or desktop VS Code with \`code\` on the PATH`,
  };
}

/**
 * Installs the server where it is missing (about a minute, 810 MB); a second call does nothing.
 * @param {string} root the clone
 * @returns {Promise<{ node: string, main: string }>} the executable and the server's entry point
 */
export async function ensureVsCodeServer(root) {
  const folder = path.join(root, 'build/vscode-server');
  const manifest = path.join(root, 'test/vscode-server');
  const found = serverNode(folder);
  if ('reason' in found) throw new Error(`No VS Code server: ${found.reason}.`);
  const app = path.join(folder, 'node_modules/code-server/lib/vscode');
  const main = path.join(app, 'out/server-main.js');
  const key = hashFiles(manifest, ['package.json', 'package-lock.json'], `${process.platform}-${process.arch}`);
  await onlyWhenChanged(path.join(folder, 'installed.stamp'), key, [main, found.node], async () => {
    console.log('Installing the VS Code server (about a minute, 810 MB in build/vscode-server)…');
    rmSync(folder, { recursive: true, force: true });
    cpSync(manifest, folder, { recursive: true });
    await run('npm', ['ci', ...NPM_FLAGS], { cwd: folder });
    // VS Code's own dependencies, pinned by the lockfiles inside the package; `npm ci` finds those one entry short.
    await run('npm', ['install', '--omit=dev', ...NPM_FLAGS], { cwd: app });
    await run('npm', ['install', '--omit=dev', ...NPM_FLAGS], { cwd: path.join(app, 'extensions') });
    await buildLogger(app, found.node);
    console.log('VS Code server installed.');
  });
  return { node: found.node, main };
}

/** VS Code writes its log files, and shows extensions' logs, through one native module: the only one built here. */
async function buildLogger(app, node) {
  const home = path.resolve(path.dirname(node), '..');
  // npm's Node comes with its headers; without them node-gyp would fetch some.
  const headers = existsSync(path.join(home, 'include/node')) ? { npm_config_nodedir: home } : {};
  const env = { ...process.env, ...headers, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH}` };
  try {
    await run('npm', ['rebuild', '@vscode/spdlog', '--ignore-scripts=false', '--loglevel=error'], { cwd: app, env });
  } catch (error) {
    console.log(`VS Code's log files and "Show Log" stay empty: ${error.message}`);
  }
}

/** Makes `extension` (a folder with package.json) an installed extension of `extensionsDir`, without copying it. */
export function linkExtension(extensionsDir, extension) {
  const { publisher, name, version } = JSON.parse(readFileSync(path.join(extension, 'package.json'), 'utf8'));
  mkdirSync(extensionsDir, { recursive: true });
  const link = path.join(extensionsDir, `${publisher}.${name}-${version}`);
  rmSync(link, { force: true });
  symlinkSync(extension, link, process.platform === 'win32' ? 'junction' : 'dir');
}

/**
 * @typedef {object} ServerOptions
 * @property {string} directory where user data, extensions and the server's own data go
 * @property {{ node: string, main: string }} server from ensureVsCodeServer
 * @property {string} [extension] folder of an unpacked extension to install by a link
 * @property {string} [vsix] packaged extension to install
 * @property {Record<string, unknown>} [settings] first user settings on top of QUIET_SETTINGS; settings already in `directory` stay
 * @property {Record<string, unknown>} [machineSettings] settings of scope "machine", which users' settings don't reach
 * @property {string} [token] who opens the address must name it; without one every user of this machine may: for tests
 * @property {number} [port] 0 (the default) picks a free one
 * @property {NodeJS.ProcessEnv} [env]
 * @property {boolean} [smokeTestDriver] lets a page run a test suite in the extension host
 */

/**
 * Starts a server and waits until it listens.
 * @param {ServerOptions} options
 * @returns {Promise<{ url: string, port: number, pid: number, log: string, ended: Promise<unknown>, stop: () => Promise<void> }>} `ended`: when the server is gone
 */
export async function startVsCodeServer(options) {
  const { directory, server, env = process.env } = options;
  const extensions = path.join(directory, 'extensions');
  const user = path.join(directory, 'user');
  mkdirSync(path.join(user, 'User'), { recursive: true });
  mkdirSync(extensions, { recursive: true });
  const settings = path.join(user, 'User/settings.json');
  if (!existsSync(settings)) {
    writeFileSync(settings, JSON.stringify({ ...QUIET_SETTINGS, ...options.settings }, null, 2));
  }
  if (options.machineSettings !== undefined) {
    mkdirSync(path.join(user, 'Machine'), { recursive: true });
    writeFileSync(path.join(user, 'Machine/settings.json'), JSON.stringify(options.machineSettings, null, 2));
  }
  const shared = ['--accept-server-license-terms', '--extensions-dir', extensions];
  shared.push('--server-data-dir', path.join(directory, 'server'), '--telemetry-level', 'off');
  if (options.extension !== undefined) linkExtension(extensions, options.extension);
  if (options.vsix !== undefined) {
    await run(server.node, [server.main, ...shared, '--install-extension', options.vsix], {
      env,
      stdio: 'ignore',
      shell: false,
    });
  }

  const args = [server.main, ...shared, '--host', '127.0.0.1', '--port', String(options.port ?? 0)];
  args.push('--disable-workspace-trust', '--user-data-dir', user);
  if (options.token === undefined) {
    args.push('--without-connection-token');
  } else {
    // In a file, since the arguments of a process can be read by every user.
    const tokenFile = path.join(directory, 'token');
    writeFileSync(tokenFile, options.token, { mode: 0o600 });
    args.push('--connection-token-file', tokenFile);
  }
  if (options.smokeTestDriver === true) args.push('--enable-smoke-test-driver');
  const log = path.join(directory, 'server.log');
  const logFile = openSync(log, 'w');
  // Detached: a process group of its own, so that stopping it also ends what its extensions started.
  const child = spawn(server.node, args, { env, stdio: ['ignore', 'pipe', logFile], detached: true });
  closeSync(logFile);
  const ended = new Promise((resolve) => child.once('close', resolve));
  const signal = (name) => {
    try {
      process.kill(-child.pid, name);
    } catch {
      // Everything in the group has ended.
    }
  };
  const killAtExit = () => signal('SIGKILL');
  process.once('exit', killAtExit);

  const port = await new Promise((resolve, reject) => {
    let output = '';
    child.once('error', reject);
    child.once('close', (code) =>
      reject(new Error(`The VS Code server ended with exit code ${code}: ${output}${readFileSync(log, 'utf8')}`)),
    );
    const listen = (data) => {
      output += data;
      const listening = /agent listening on (\d+)/.exec(output);
      if (listening === null) return;
      child.stdout.removeListener('data', listen);
      resolve(Number(listening[1]));
    };
    child.stdout.on('data', listen);
    child.stdout.on('data', (data) => writeFileSync(log, data, { flag: 'a' }));
  });
  const stop = async () => {
    signal('SIGTERM');
    const grace = new AbortController();
    await Promise.race([ended, delay(STOP_GRACE_MS, undefined, { signal: grace.signal }).catch(() => undefined)]);
    grace.abort();
    signal('SIGKILL');
    process.removeListener('exit', killAtExit);
  };
  return { url: `http://127.0.0.1:${port}`, port, pid: child.pid, log, ended, stop };
}

if (isMain(import.meta.url))
  runMain(() => ensureVsCodeServer(path.resolve(import.meta.dirname, '..')).then(() => undefined));
