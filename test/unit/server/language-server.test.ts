import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { CancellationTokenSource } from 'vscode-languageserver-protocol/node';
import { LanguageServerClient } from './support/language-client';
import { bundleServer, engineMissing, named, ROOT } from './support/product';

const PYTHON = 'def mean(values):\n    """Return the arithmetic mean."""\n    return ';
const URI = 'file:///work/mean.py';

describe.skipIf(engineMissing() !== null)(named('the language server, spoken to over stdio'), () => {
  let storage: string;
  let client: LanguageServerClient;
  beforeAll(async () => {
    await bundleServer();
    storage = await mkdtemp(join(tmpdir(), 'specdiff-test-'));
  });
  afterAll(() => rm(storage, { recursive: true, force: true }));
  beforeEach(async () => {
    client = await LanguageServerClient.start({ storageDirectory: storage });
  });
  afterEach(() => client.stop());

  it('streams a completion whose blocks joined are the answer, with telemetry that adds up', async () => {
    await client.open(URI, PYTHON);
    const result = await client.complete({ requestId: 7, uri: URI, position: { line: 2, character: 11 } });
    expect(result.outcome).toBe('done');
    expect(result.text).not.toBe('');
    expect(client.textOf(7)).toBe(result.text);
    const stats = result.stats!;
    expect(stats.tokens).toBeGreaterThan(0);
    expect(stats.tau).toBeCloseTo(stats.tokens / stats.verifications, 9);
    const events = client.telemetry.map(({ event }) => event);
    expect(events[0]).toBe('started');
    expect(events[1]).toBe('prefilled');
    expect(events.at(-1)).toBe('finished');
    expect(events.filter((event) => event === 'verified').length).toBeGreaterThanOrEqual(stats.verifications);
    expect(client.states.map(({ engine }) => engine.state)).toEqual(
      expect.arrayContaining(['starting', 'generating', 'ready']),
    );
    expect(client.states.at(-1)?.loaded?.target.architecture).toBe('llama');
  });

  it('evaluates a handful of tokens after one more character', async () => {
    const text = (await readFile(join(ROOT, 'server/engine/client.ts'), 'utf8')).slice(0, 4000);
    await client.open(URI, text, 'typescript');
    const lines = text.split('\n');
    const position = { line: lines.length - 1, character: lines.at(-1)!.length };
    const first = await client.complete({ uri: URI, position });
    await client.change(URI, 2, [{ range: { start: position, end: position }, text: 'x' }]);
    const second = await client.complete({
      requestId: 2,
      uri: URI,
      version: 2,
      position: { ...position, character: position.character + 1 },
    });
    expect(first.stats!.promptTokens).toBeGreaterThan(100);
    expect(second.stats!.prefillTokens).toBeLessThan(8);
  });

  it('has the next completion ready when one is accepted, and only there', async () => {
    const story = 'file:///work/story.md';
    const begin = 'Once upon a time there was a';
    const nothing = () => Promise.resolve();
    /** A fresh document, its first completion accepted; then the next one at its end, behind `more`. */
    const acceptedThen = async (ahead: boolean, version: number, more: string, meanwhile: () => Promise<unknown>) => {
      await client.settings({ ahead, maxTokens: 12 });
      const first = await client.complete({ uri: story, version, position: { line: 0, character: begin.length } });
      if (ahead) await client.until(() => client.states.filter(({ engine }) => engine.state === 'ready').length >= 3);
      await meanwhile();
      const lines = (begin + first.text + more).split('\n');
      const start = { line: 0, character: begin.length };
      await client.change(story, version + 1, [{ range: { start, end: start }, text: first.text + more }]);
      const position = { line: lines.length - 1, character: lines.at(-1)!.length };
      return client.complete({ requestId: version + 1, uri: story, version: version + 1, position });
    };
    await client.open(story, begin, 'markdown');
    const ready = await acceptedThen(true, 1, '', nothing);
    expect(ready.outcome).toBe('done');
    expect(ready.stats!.firstBlockMs).toBe(0);
    expect(client.textOf(2)).toBe(ready.text);
    const events = client.telemetry.filter(({ requestId }) => requestId === 2).map(({ event }) => event);
    expect(events.slice(0, 2)).toEqual(['started', 'prefilled']);
    expect(events.at(-1)).toBe('finished');
    expect(client.telemetry.every(({ requestId }) => requestId !== 0)).toBe(true);
    expect(client.messages).toEqual([]);

    const restart = () => client.connection.sendRequest('specdiff/restartEngine');
    for (const [version, ahead, more, meanwhile] of [
      [3, false, '', nothing],
      [5, true, ' blue', nothing],
      [7, false, ' blue', nothing],
      [9, true, '', restart],
      [11, true, '', () => client.settings({ ahead: true, maxTokens: 12, threads: 2 })],
    ] as const) {
      await client.change(story, version, [{ text: begin }]);
      const other = await acceptedThen(ahead, version, more, meanwhile);
      expect(other.outcome).toBe('done');
      expect(other.stats!.firstBlockMs).toBeGreaterThan(0);
      if (more === '') expect(other.text).toBe(ready.text);
    }
  });

  it('answers stale for another version, and an unknown document', async () => {
    await client.open(URI, PYTHON);
    const position = { line: 0, character: 0 };
    expect((await client.complete({ uri: URI, version: 5, position })).outcome).toBe('stale');
    expect((await client.complete({ uri: 'file:///work/other.py', position })).outcome).toBe('stale');
  });

  it('refuses secret files and binary content without starting the engine', async () => {
    await client.open('file:///work/.env', 'TOKEN=');
    const secret = await client.complete({ uri: 'file:///work/.env', position: { line: 0, character: 6 } });
    expect(secret.outcome).toBe('refused');
    expect(secret.message).toMatch(/secret/);
    await client.open('file:///work/a.bin', 'MZ\0\0\u0001', 'plaintext');
    const binary = await client.complete({ uri: 'file:///work/a.bin', position: { line: 0, character: 2 } });
    expect(binary.outcome).toBe('refused');
    expect(client.states.some(({ engine }) => engine.state === 'starting')).toBe(false);
  });

  it('is cancelled while it generates, keeps what it sent, and serves the next request', async () => {
    await client.settings({ maxTokens: 512 });
    await client.open('file:///work/story.md', 'Once upon a time there was a', 'markdown');
    const place = { uri: 'file:///work/story.md', position: { line: 0, character: 28 } };
    const source = new CancellationTokenSource();
    const running = client.complete({ ...place, requestId: 3 }, source.token);
    await client.until(() => client.blocks.length > 0);
    source.cancel();
    const result = await running;
    expect(result.outcome).toBe('cancelled');
    expect(client.textOf(3)).toBe(result.text);
    await client.settings({ maxTokens: 4 });
    expect((await client.complete({ ...place, requestId: 4 })).outcome).toBe('done');
  });

  it('lets a newer completion supersede the one before it', async () => {
    await client.settings({ maxTokens: 512 });
    await client.open('file:///work/story.md', 'Once upon a time there was a', 'markdown');
    const place = { uri: 'file:///work/story.md', position: { line: 0, character: 28 } };
    const older = client.complete({ ...place, requestId: 5 });
    await client.until(() => client.textOf(5) !== '');
    const source = new CancellationTokenSource();
    const newer = client.complete({ ...place, requestId: 6 }, source.token);
    expect((await older).outcome).toBe('cancelled');
    await client.until(() => client.textOf(6) !== '');
    source.cancel();
    expect((await newer).outcome).toBe('cancelled');
  });

  it('summarizes as Markdown, tells what was cut, and is not superseded by a completion', async () => {
    await client.settings({ summaryContextTokens: 160, summaryMaxTokens: 24 });
    const text = Array.from({ length: 80 }, (_, index) => `total_${index} = price_${index} * amount_${index}`).join(
      '\n',
    );
    await client.open(URI, text);
    const range = { start: { line: 0, character: 0 }, end: { line: 79, character: 40 } };
    const summary = client.summarize({ requestId: 8, uri: URI, version: 1, range });
    await client.until(() => client.textOf(8) !== '');
    const completion = client.complete({ requestId: 9, uri: URI, position: { line: 79, character: 9 } });
    const result = await summary;
    expect(result.outcome).toBe('done');
    expect(result.text).toBe(client.textOf(8));
    expect(result.cut?.selectedLines).toBe(80);
    expect(result.cut?.usedLines).toBeLessThan(80);
    expect((await completion).outcome).toBe('done');
  });

  it('says that a summary was ended by the limit of tokens, and only then', async () => {
    await client.open(URI, 'def add(a, b):\n    return a + b\n');
    const range = { start: { line: 0, character: 0 }, end: { line: 2, character: 0 } };
    await client.settings({ summaryMaxTokens: 4 });
    const short = await client.summarize({ requestId: 20, uri: URI, version: 1, range });
    expect(short).toMatchObject({ outcome: 'done', unfinished: true });
    await client.settings({ summaryMaxTokens: 512 });
    const whole = await client.summarize({ requestId: 21, uri: URI, version: 1, range });
    expect(whole.outcome).toBe('done');
    expect(whole.stats!.tokens).toBeLessThan(512);
    expect(whole).not.toHaveProperty('unfinished');
  });

  it('answers the standard inline completion of other editors in one piece', async () => {
    await client.open(URI, PYTHON);
    const items: { insertText: string }[] = await client.connection.sendRequest('textDocument/inlineCompletion', {
      textDocument: { uri: URI },
      position: { line: 2, character: 11 },
      context: { triggerKind: 1 },
    });
    expect(items).toHaveLength(1);
    expect(items[0]!.insertText).not.toBe('');
    expect(client.blocks).toHaveLength(0);
  });

  it('goes on from the suggest widget’s selected item', async () => {
    await client.open(URI, 'import math\n\nprint(math.sq', 'python');
    const range = { start: { line: 2, character: 11 }, end: { line: 2, character: 13 } };
    const items: { insertText: string; range: unknown }[] = await client.connection.sendRequest(
      'textDocument/inlineCompletion',
      {
        textDocument: { uri: URI },
        position: { line: 2, character: 13 },
        context: { triggerKind: 1, selectedCompletionInfo: { range, text: 'sqrt' } },
      },
    );
    expect(items[0]!.insertText.startsWith('sqrt')).toBe(true);
    expect(items[0]!.range).toEqual(range);
  });

  it('completes in notebook cells', async () => {
    const cell = 'vscode-notebook-cell:/work/a.ipynb#W0';
    await client.connection.sendNotification('notebookDocument/didOpen', {
      notebookDocument: {
        uri: 'file:///work/a.ipynb',
        notebookType: 'jupyter-notebook',
        version: 1,
        cells: [{ kind: 2, document: cell }],
      },
      cellTextDocuments: [{ uri: cell, languageId: 'python', version: 1, text: PYTHON }],
    });
    const result = await client.complete({ uri: cell, position: { line: 2, character: 11 } });
    expect(result.outcome).toBe('done');
    expect(result.text).not.toBe('');
  });

  it('gives CRLF text to a CRLF document', async () => {
    await client.open(URI, 'def add(a, b):\r\n    return a + b\r\n\r\n\r\ndef sub(a, b):');
    const result = await client.complete({ uri: URI, position: { line: 4, character: 14 } });
    expect(result.text.replaceAll('\r\n', '')).not.toMatch(/[\r\n]/);
    expect(result.text).toMatch(/\r\n/);
  });

  it('serves an empty document and one with emoji and combining characters at the cursor', async () => {
    await client.open('file:///work/empty.py', '');
    expect((await client.complete({ uri: 'file:///work/empty.py', position: { line: 0, character: 0 } })).outcome).toBe(
      'done',
    );
    const text = 'I love cafe\u0301 👩‍👩‍👧 and ';
    await client.open('file:///work/emoji.md', text, 'markdown');
    for (const character of [text.length, 12, 13, 15]) {
      const result = await client.complete({ uri: 'file:///work/emoji.md', position: { line: 0, character } });
      expect(result.outcome).toBe('done');
      // No lone half of a surrogate pair.
      expect(Buffer.from(result.text, 'utf8').toString('utf8')).toBe(result.text);
    }
  });

  it('completes at the end of a 50 MB document', async () => {
    const line = 'value = compute(value, 17)  # keeps the running value\n';
    const text = line.repeat(Math.ceil(50e6 / line.length));
    await client.open(URI, text);
    const position = { line: Math.ceil(50e6 / line.length), character: 0 };
    const result = await client.complete({ uri: URI, position });
    expect(result.outcome).toBe('done');
    expect(result.stats!.promptTokens).toBeLessThanOrEqual(520);
  });

  it('gives the memory back after idle minutes, and starts again when asked', async () => {
    await client.open(URI, PYTHON);
    const place = { uri: URI, position: { line: 2, character: 11 } };
    await client.complete(place);
    await client.settings({ idleMinutes: 0.005 });
    await client.until(() => client.state === 'idle');
    expect(client.states.at(-1)!.loaded).toBeNull();
    expect(await readdir(join(storage, 'engines'))).toEqual([]);
    await client.settings({});
    expect((await client.complete({ ...place, requestId: 2 })).outcome).toBe('done');
  });

  it('loads anew when a setting that matters changes, and only then', async () => {
    await client.open(URI, PYTHON);
    const place = { uri: URI, position: { line: 2, character: 11 } };
    const starts = () => client.states.filter(({ engine }) => engine.state === 'starting').length;
    await client.complete(place);
    await client.settings({ maxTokens: 3 });
    await client.complete({ ...place, requestId: 2 });
    expect(starts()).toBe(1);
    await client.settings({ threads: 2 });
    await client.complete({ ...place, requestId: 3 });
    expect(starts()).toBe(2);
    expect(client.states.at(-1)!.loaded!.threads).toBe(2);
  });

  it('counts the engines of other windows', async () => {
    const storageDirectory = await mkdtemp(join(storage, 'windows-'));
    const folder = join(storageDirectory, 'engines');
    const window = await LanguageServerClient.start({ storageDirectory });
    await window.until(() => window.states.at(-1)?.otherEngines === 0);
    // This test's own process stands for another window's engine; no process has the other number.
    await writeFile(join(folder, `${process.pid}.engine`), '');
    await writeFile(join(folder, '99999999.engine'), '');
    await window.until(() => window.states.at(-1)?.otherEngines === 1);
    await rm(join(folder, `${process.pid}.engine`));
    await window.until(() => window.states.at(-1)?.otherEngines === 0);
    await window.stop();
    expect(await readdir(folder)).toEqual([]);
  });

  it('copies from other open files in a trusted workspace, and never reads them in another', async () => {
    const uri = 'file:///work/count.md';
    const line = 'one two three four five six';
    const place = { uri, position: { line: 0, character: line.length } };
    await client.settings({ maxTokens: 4 });
    await client.open(uri, line, 'markdown');
    const { text } = await client.complete(place);
    const drafted = async (workspaceTrusted: boolean, otherText: string) => {
      const other = await LanguageServerClient.start({
        storageDirectory: storage,
        settings: { drafter: 'ngram', draftLength: 4, maxTokens: 4, remember: false },
        workspaceTrusted,
      });
      await other.open('file:///work/long.md', otherText, 'markdown');
      await other.open(uri, line, 'markdown');
      expect((await other.complete(place)).text).toBe(text);
      const passes = other.telemetry.flatMap((event) => (event.event === 'verified' ? [event.pass] : []));
      await other.stop();
      return passes.map(({ drafted, accepted }) => ({ drafted, accepted }));
    };
    // Where nothing can be copied, drafts are the model's turns of phrase.
    const alone = await drafted(true, '');
    const copied = `${line}${text} and more`;
    expect(await drafted(true, copied)).not.toEqual(alone);
    expect(await drafted(false, copied)).toEqual(alone);
  });

  it('reports diagnostics without document text', async () => {
    await client.open(URI, 'the_secret_sauce = 42\n');
    await client.complete({ uri: URI, position: { line: 1, character: 0 } });
    const report: string = await client.connection.sendRequest('specdiff/diagnostics');
    expect(report).toMatch(/SpecDiff \d/);
    expect(report).toMatch(/llama/);
    expect(report).not.toContain('the_secret_sauce');
  });
});
