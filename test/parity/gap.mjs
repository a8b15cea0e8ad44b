// How far below plain decoding's best logit a token lies: at temperature 1, log p differs by just what the logits differ.
// Usage: node gap.mjs TEST_ADDON NATIVE_DIRECTORY CPU_LIBRARY TARGET THREADS CONTEXT CASES.json → JSON array of gaps on stdout.
// CASES: [{"prompt": [ids], "token": id}]
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';

const [addon, nativeDirectory, cpuLibrary, targetPath, threads, contextTokens, cases] = process.argv.slice(2);
const { EngineProbe } = createRequire(import.meta.url)(addon);
const options = {
  targetPath,
  drafterPath: null,
  threads: Number(threads),
  contextTokens: Number(contextTokens),
  treeNodes: 0,
};
const probe = new EngineProbe(nativeDirectory, options, cpuLibrary);
const sampling = { temperature: 1, topK: 0, topP: 1, minP: 0, repetitionPenalty: 1, seed: 1 };
const gaps = JSON.parse(readFileSync(cases, 'utf8')).map(({ prompt, token }) => {
  const job = {
    prompt: Int32Array.from(prompt),
    lookup: new Int32Array(0),
    suffix: new Int32Array(0),
    maxTokens: 1,
    drafter: 'none',
    draftLength: 0,
    treeNodes: 0,
    acceptance: 'auto',
    denoising: { steps: 0, sampler: 'confidence', hotStart: false },
    remember: false,
    sampling,
  };
  const p = probe.exact(job, 1);
  return Math.log(Math.max(...p)) - Math.log(p[token]);
});
process.stdout.write(JSON.stringify(gaps));
