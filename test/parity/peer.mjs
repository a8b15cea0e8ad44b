// llama.cpp's own greedy text through the npm package's own addon, in a process of its own.
// Usage: node peer.mjs TARGET PROMPTS.json MAX_TOKENS THREADS CONTEXT → one JSON array of token id arrays on stdout.
import { readFileSync } from 'node:fs';
import { cpuLlama } from '../../bench/peers/cpuLlama.mjs';

const [target, promptsFile, maxTokens, threads, contextSize] = process.argv.slice(2);
const llama = await cpuLlama(Number(threads));
const model = await llama.loadModel({ modelPath: target });
const context = await model.createContext({
  contextSize: Number(contextSize),
  batchSize: 512,
  threads: Number(threads),
});
const sequence = context.getSequence();
const results = [];
for (const prompt of JSON.parse(readFileSync(promptsFile, 'utf8'))) {
  await sequence.clearHistory();
  const tokens = [];
  for await (const token of sequence.evaluate(prompt, { temperature: 0 })) {
    if (model.isEogToken(token)) break;
    tokens.push(token);
    if (tokens.length === Number(maxTokens)) break;
  }
  results.push(tokens);
}
process.stdout.write(JSON.stringify(results));
await llama.dispose();
