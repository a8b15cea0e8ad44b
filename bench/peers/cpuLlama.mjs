import { getLlama, LlamaLogLevel } from 'node-llama-cpp';

/** llama.cpp as node-llama-cpp ships it, on the CPU alone; nothing is downloaded or built. */
export const cpuLlama = (threads) =>
  getLlama({
    gpu: false,
    build: 'never',
    usePrebuiltBinaries: true,
    skipDownload: true,
    maxThreads: threads,
    logLevel: LlamaLogLevel.error,
  });
