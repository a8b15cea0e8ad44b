// "Is this step up to date?": a hash of its inputs, kept beside its output.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import path from 'node:path';

/** Files below the given files and folders, sorted, so that hashes do not depend on the file system's order. */
export function listFiles(root, entries) {
  const found = [];
  const visit = (relative) => {
    const absolute = path.join(root, relative);
    if (!existsSync(absolute)) return;
    if (statSync(absolute).isDirectory()) {
      for (const name of readdirSync(absolute)) if (name !== 'node_modules') visit(path.join(relative, name));
    } else found.push(relative);
  };
  entries.forEach(visit);
  return found.sort();
}

export function hashFiles(root, entries, extra = '') {
  const hash = createHash('sha256').update(extra);
  for (const file of listFiles(root, entries)) hash.update(`${file}\0`).update(readFileSync(path.join(root, file)));
  return hash.digest('hex');
}

/**
 * Runs `step` unless `stampFile` holds `key` and every output exists; true when it ran. While it runs, and where it
 * fails, there is no stamp: its outputs may be half of one state and half of another.
 */
export async function onlyWhenChanged(stampFile, key, outputs, step) {
  const fresh = existsSync(stampFile) && readFileSync(stampFile, 'utf8') === key && outputs.every((o) => existsSync(o));
  if (fresh) return false;
  rmSync(stampFile, { force: true });
  await step();
  mkdirSync(path.dirname(stampFile), { recursive: true });
  writeFileSync(stampFile, key);
  return true;
}
