import { chmodSync, mkdtempSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { readPeers } from '../../../bench/engine/peer-option';
import { PeerServer, peerSample, type PeerSetup } from '../../../bench/engine/peer-server';

describe('--peer', () => {
  it('splits name, program and arguments at the first signs only', () => {
    expect(
      readPeers(['ik=/opt/server', 'ik suffix=/opt/server:--spec-type suffix:n_max=7,n_min=1 --note "two words"']),
    ).toEqual([
      { name: 'ik', program: '/opt/server', args: [], plain: 'ik' },
      {
        name: 'ik suffix',
        program: '/opt/server',
        args: ['--spec-type', 'suffix:n_max=7,n_min=1', '--note', 'two words'],
        plain: 'ik',
      },
    ]);
  });
  it('adds plain decoding once for a program that is only named with arguments', () => {
    const peers = readPeers(['a=server:--x', 'b=server:--y', 'c=other']);
    expect(peers.map(({ name, plain, args }) => [name, plain, args.length])).toEqual([
      ['a, plain', 'a, plain', 0],
      ['a', 'a, plain', 1],
      ['b', 'a, plain', 1],
      ['c', 'c', 0],
    ]);
  });
  it('keeps the colon of a drive', () => {
    expect(readPeers(['w=C:\\llama\\server.exe', 'v=C:/s.exe:-a'])).toMatchObject([
      { program: 'C:\\llama\\server.exe', args: [] },
      { name: 'v, plain' },
      { program: 'C:/s.exe', args: ['-a'] },
    ]);
  });
  it.each(['server', '=server', 'name=', 'name=:-x'])('says how to write it instead of %s', (option) => {
    expect(() => readPeers([option])).toThrow(/write NAME=PATH or NAME=PATH:ARGS/);
  });
  it('refuses one name for two', () => {
    expect(() => readPeers(['a=x', 'a=y'])).toThrow(/Two peers are named "a"/);
  });
});

describe('an answer of a peer', () => {
  it('is counted without the first token, which comes with the prompt', () => {
    const timings = { predicted_n: 9, predicted_ms: 40, draft_n: 6, draft_n_accepted: 4 };
    expect(peerSample({ content: 'text', timings })).toMatchObject({
      ...{ text: 'text', tokens: 9, verifications: 5, decodedTokens: 8, decodingMs: 40, drafted: 6, accepted: 4 },
      draftMs: null,
    });
    expect(peerSample({ content: '', timings: { predicted_n: 1, predicted_ms: 3 } })).toMatchObject({
      ...{ decodedTokens: 0, decodingMs: 0, drafted: 0, verifications: 1 },
    });
  });
  it('without timings is refused', () => {
    expect(() => peerSample({ content: 'text' })).toThrow(/no text or no timings/);
    expect(() => peerSample(null)).toThrow(/no text or no timings/);
  });
});

describe.skipIf(process.platform === 'win32')('the process of a peer', () => {
  const setup = (): PeerSetup => {
    const folder = mkdtempSync(path.join(os.tmpdir(), 'specdiff-peer-'));
    return { targetPath: '/model.gguf', threads: 1, contextTokens: 64, folder, logFolder: path.join(folder, 'logs') };
  };
  /** A server that loads for a moment, then answers with the arguments and the request it got. */
  const SERVER = `#!${process.execPath}
const args = process.argv.slice(2);
let asked = 0;
require('node:http').createServer((request, response) => {
  if (request.url === '/health') { response.statusCode = ++asked < 3 ? 503 : 200; return response.end('{}'); }
  let body = '';
  request.on('data', (part) => (body += part));
  request.on('end', () => {
    const content = JSON.stringify({ args, body: JSON.parse(body) });
    response.end(JSON.stringify({ content, timings: { predicted_n: 3, predicted_ms: 5 } }));
  });
}).listen(Number(args[args.indexOf('--port') + 1]), '127.0.0.1');
`;

  it('is waited for, asked with the same tokens, and ended', async () => {
    const options = setup();
    writeFileSync(path.join(options.folder, 'server'), SERVER);
    chmodSync(path.join(options.folder, 'server'), 0o755);
    const [mode] = readPeers(['p=server']);
    const peer = await PeerServer.start({ ...mode!, args: ['--spec', 'x'] }, options);
    const prompt = { tokens: [5, 6, 7], lookup: [1], suffix: [], maxTokens: 12 };
    const greedy = await peer.complete(prompt, 0, 1, new AbortController().signal);
    const { args, body } = JSON.parse(greedy.text) as { args: string[]; body: Record<string, unknown> };
    expect(args.join(' ')).toMatch(/^-m \/model.gguf -c 64 -np 1 -t 1 -tb 1 .* --spec x$/);
    expect(body).toMatchObject({ prompt: [5, 6, 7], n_predict: 12, temperature: 0, top_k: 1 });
    const sampled = await peer.complete(prompt, 1, 4, new AbortController().signal);
    const request = (JSON.parse(sampled.text) as { body: Record<string, unknown> }).body;
    expect(request).toMatchObject({ temperature: 1, top_k: 0, top_p: 1, min_p: 0, seed: 4, samplers: ['temperature'] });
    const pid = peer.pid!;
    await peer.stop();
    expect(() => process.kill(pid, 0)).toThrow();
  });
  it('that ends at once is told with its exit code', async () => {
    const options = setup();
    writeFileSync(path.join(options.folder, 'server'), '#!/bin/sh\nexit 3\n');
    chmodSync(path.join(options.folder, 'server'), 0o755);
    const [mode] = readPeers(['p=server']);
    await expect(PeerServer.start(mode!, options)).rejects.toThrow(/p ended with exit code 3; see .*p\.log/);
  });
  it('that is not there is named', async () => {
    const [mode] = readPeers(['p=nowhere/server']);
    await expect(PeerServer.start(mode!, setup())).rejects.toThrow(/p: there is no program .*nowhere\/server/);
  });
});
