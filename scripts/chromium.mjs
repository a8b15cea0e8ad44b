// Finds a Chromium for the end-to-end tests, or installs Debian's package where this user may.
import { spawnSync } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import path from 'node:path';
import { run } from './process.mjs';

const NAMES = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable', 'chrome', 'msedge'];
const FIXED_PLACES = [
  '/Applications/Google Chrome.app/Contents/MacOS/Google Chrome',
  '/Applications/Chromium.app/Contents/MacOS/Chromium',
  'C:\\Program Files\\Google\\Chrome\\Application\\chrome.exe',
  'C:\\Program Files (x86)\\Microsoft\\Edge\\Application\\msedge.exe',
];

function isExecutable(file) {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** First file of that name on the PATH, or null. */
export function findOnPath(name) {
  const suffixes = process.platform === 'win32' ? (process.env.PATHEXT ?? '.EXE;.CMD').split(';') : [''];
  for (const folder of (process.env.PATH ?? '').split(path.delimiter)) {
    for (const suffix of suffixes) {
      const file = path.join(folder, name + suffix);
      if (folder !== '' && isExecutable(file)) return file;
    }
  }
  return null;
}

/** A stub that only points at another package manager (Ubuntu's chromium) does not answer with a version. */
function answers(file) {
  return process.platform === 'win32' || spawnSync(file, ['--version'], { encoding: 'utf8' }).status === 0;
}

function findChromium() {
  const candidates = [...NAMES.map(findOnPath), ...FIXED_PLACES.filter(isExecutable)];
  return candidates.find((file) => file !== null && answers(file)) ?? null;
}

/** The prefix with which this user may call apt-get, or null. */
function aptPrefix() {
  if (findOnPath('apt-get') === null) return null;
  if (process.getuid?.() === 0) return [];
  const allowed = spawnSync('sudo', ['-n', 'true'], { stdio: 'ignore' });
  return allowed.status === 0 ? ['sudo', '-n'] : null;
}

/**
 * @param {{ install?: boolean }} [options] `install`: put the system's package in where it is missing and may be
 * @returns {Promise<{ path: string } | { path: null, reason: string }>}
 */
export async function ensureChromium({ install = false } = {}) {
  const named = process.env.CHROMIUM_PATH;
  if (named !== undefined && named !== '') {
    if (isExecutable(named)) return { path: named };
    return { path: null, reason: `CHROMIUM_PATH names ${named}, which can't be run` };
  }
  const found = findChromium();
  if (found !== null) return { path: found };
  const hint = 'install Chromium or name one by CHROMIUM_PATH';
  const prefix = install ? aptPrefix() : null;
  if (prefix === null) return { path: null, reason: `no Chromium here; ${hint}` };
  try {
    console.log("Installing Chromium from the system's packages…");
    const apt = [...prefix, 'env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-qq'];
    const [command, ...rest] = apt;
    await run(command, [...rest, 'update'], { stdio: ['ignore', 'ignore', 'inherit'] });
    await run(command, [...rest, 'install', '--yes', '--no-install-recommends', 'chromium'], {
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  } catch (error) {
    return { path: null, reason: `Chromium could not be installed (${error.message}); ${hint}` };
  }
  const installed = findChromium();
  return installed === null
    ? { path: null, reason: `the system's chromium package does not run; ${hint}` }
    : { path: installed };
}
