#!/usr/bin/env node
/**
 * node-llama-cpp as a peer of `npm run bench -- --full`: answers /health and /completion as llama.cpp's server does, one
 * request at a time. With --predictor, its own speculative decoding:
 *
 *   --peer "node-llama-cpp lookup=bench/peers/node-llama-cpp.mjs:--predictor lookup"
 *   --peer "node-llama-cpp draft=bench/peers/node-llama-cpp.mjs:--predictor draft --draft-model FILE.gguf"
 */
import { createServer } from 'node:http';
import { parseArgs } from 'node:util';
import { DraftSequenceTokenPredictor, InputLookupTokenPredictor } from 'node-llama-cpp';
import { cpuLlama } from './cpuLlama.mjs';

const { values } = parseArgs({
  // As llama.cpp's server is started: -np, -tb and --host come too.
  args: process.argv.slice(2).map((arg) => (/^-(np|tb)$/.test(arg) ? `-${arg}` : arg)),
  options: {
    model: { type: 'string', short: 'm' },
    context: { type: 'string', short: 'c', default: '2048' },
    threads: { type: 'string', short: 't', default: '1' },
    np: { type: 'string' },
    tb: { type: 'string' },
    host: { type: 'string', default: '127.0.0.1' },
    port: { type: 'string' },
    predictor: { type: 'string' },
    'draft-model': { type: 'string' },
  },
});

const threads = Number(values.threads);
const llama = await cpuLlama(threads);
const newContext = async (modelPath) => {
  const model = await llama.loadModel({ modelPath });
  return model.createContext({ contextSize: Number(values.context), batchSize: 512, threads });
};

async function predictor() {
  switch (values.predictor) {
    case undefined:
      return undefined;
    case 'lookup':
      return new InputLookupTokenPredictor();
    case 'draft':
      if (values['draft-model'] === undefined) throw new Error('--predictor draft needs --draft-model FILE.gguf.');
      return new DraftSequenceTokenPredictor((await newContext(values['draft-model'])).getSequence());
    default:
      throw new Error(`--predictor ${values.predictor}: write lookup or draft.`);
  }
}

const context = await newContext(values.model);
const { model } = context;
const tokenPredictor = await predictor();
const sequence = context.getSequence({ tokenPredictor });

async function complete({ prompt, n_predict: most, temperature, top_k: topK, seed }) {
  await sequence.clearHistory();
  if (tokenPredictor instanceof InputLookupTokenPredictor) tokenPredictor.updateInputTokens(prompt);
  const before = sequence.tokenPredictions;
  const tokens = [];
  let first = 0;
  for await (const token of sequence.evaluate(prompt, { temperature, topK, topP: 1, minP: 0, seed })) {
    if (model.isEogToken(token)) break;
    if (tokens.length === 0) first = performance.now();
    tokens.push(token);
    if (tokens.length === most) break;
  }
  const after = sequence.tokenPredictions;
  const accepted = after.validated - before.validated;
  return {
    content: model.detokenize(tokens),
    timings: {
      predicted_n: tokens.length,
      predicted_ms: tokens.length === 0 ? 0 : performance.now() - first,
      draft_n: accepted + after.refuted - before.refuted,
      draft_n_accepted: accepted,
    },
  };
}

async function body(request) {
  const parts = [];
  for await (const part of request) parts.push(part);
  return JSON.parse(Buffer.concat(parts).toString('utf8'));
}

const server = createServer(async (request, response) => {
  try {
    const answer = request.url === '/completion' ? await complete(await body(request)) : { status: 'ok' };
    response.setHeader('content-type', 'application/json').end(JSON.stringify(answer));
  } catch (error) {
    response.statusCode = 500;
    response.end(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  }
});
server.listen(Number(values.port), values.host);
process.once('SIGTERM', () => process.exit(0));
