/** bench/paper as a whole, on tiny random models: what it measures, writes and refuses. */
import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ArmResult } from '../../bench/paper/report';
import { temporaryFolder } from '../support/native';
import { writeTinyDdit, writeTinyTarget } from '../support/tinyModel';

const ROOT = path.resolve(import.meta.dirname, '../..');
const folder = temporaryFolder();
const program = path.join(folder, 'paper.js');
const target = writeTinyTarget(folder);
const mdlm = writeTinyDdit(folder, 'paper-mdlm', { seed: 5, architecture: 'mdlm' });

beforeAll(async () => {
  const entry = path.join(ROOT, 'bench/paper/main.ts');
  await build({ entryPoints: [entry], outfile: program, bundle: true, platform: 'node', format: 'cjs' });
  const prompt = (id: string, task: string) => JSON.stringify({ id, task, text: 'words and more of them' });
  const lines = [prompt('a', 'open-text'), prompt('b', 'summarization')];
  writeFileSync(path.join(folder, 'data.jsonl'), `${lines.join('\n')}\n`);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function paper(...args: string[]) {
  const common = ['--root', ROOT, '--target', target, '--data', 'data.jsonl', '--threads', '1', '--json', 'out.json'];
  const environment = { ...process.env, INIT_CWD: folder };
  return spawnSync(process.execPath, [program, ...common, ...args], { env: environment, encoding: 'utf8' });
}

describe('bench:paper', () => {
  it('compares all arms, and greedy text is vanilla text in each', () => {
    const sizes = ['--gamma', '2,4', '--steps', '1,2', '--temperature', '0,1', '--tokens', '20'];
    const { status, stdout, stderr } = paper('--drafter', mdlm, '--causal', target, ...sizes);
    expect(stderr).not.toContain('Error');
    expect(status).toBe(0);
    const { results } = JSON.parse(readFileSync(path.join(folder, 'out.json'), 'utf8')) as { results: ArmResult[] };
    // Vanilla, two of the baseline and four of SpecDiff; sampled two more with the published rule.
    expect(results).toHaveLength(7 + 9);
    for (const { arm, figures } of results) {
      expect(figures.all?.prompts, arm.name).toBe(2);
      expect(figures.all?.changed, arm.name).toBe(arm.temperature === 0 ? 0 : null);
      expect(figures['open-text']?.prompts, arm.name).toBe(1);
      if (arm.kind === 'vanilla') expect(figures.all).toMatchObject({ tau: 1, flopsToVanilla: 1 });
      // The target as its own drafter: greedy, every token is accepted.
      if (arm.kind === 'standard' && arm.temperature === 0) expect(figures.all?.draftAcceptance).toBe(1);
      if (arm.kind === 'specdiff' && arm.temperature === 0) expect(figures.all?.draftMs, arm.name).toBeGreaterThan(0);
    }
    expect(stdout).toContain('### Summarization, greedy');
    for (const name of ['out-tau.svg', 'out-speedup.svg']) expect(existsSync(path.join(folder, name))).toBe(true);
  });

  it('says in a sentence what it cannot use', () => {
    const causal = paper('--drafter', target);
    expect(causal.stderr).toMatch(/is a causal model: give it as --causal/);
    expect(causal.status).toBe(1);
    writeFileSync(path.join(folder, 'broken.gguf'), readFileSync(mdlm).subarray(0, 300));
    expect(paper('--drafter', 'broken.gguf').stderr).toMatch(/broken\.gguf ends within its head/);
  });
});
