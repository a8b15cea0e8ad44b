/** What the engine process does: commands in, events out, around one loaded native engine. */
import type { EngineCommand, EngineEvent } from '../../protocol/messages';
import type { NativeAddon, NativeEngine } from './addon';
import { TokenDecoder } from './token-decoder';

type Command<Name extends EngineCommand['command']> = Extract<EngineCommand, { command: Name }>;

/** What was learned is told this often at most: it is written to disk. */
const LEARNED_EVERY_MS = 20_000;

const VERBOSE = process.env['SPECDIFF_VERBOSE'] !== undefined;
/** What fills a pass of eight rows, which kernels are fastest for; of these the controller verifies what pays (docs/how-it-works.md). */
const TREE_NODES = 7;

export class EngineHost {
  private engine: NativeEngine | null = null;
  private loading = false;
  private generating: number | null = null;
  /** Settles when no job runs any more. */
  private jobEnded: Promise<unknown> = Promise.resolve();
  /** The running job, or the last one, was asked to end. */
  private cancelled = false;
  private learnedToldAt = -Infinity;

  constructor(
    private readonly loadAddon: (nativeDirectory: string) => NativeAddon,
    private readonly send: (event: EngineEvent) => void,
  ) {}

  /** Never rejects: what goes wrong with a command is answered with `failed`. */
  async handle(command: EngineCommand): Promise<void> {
    try {
      switch (command.command) {
        case 'load':
          return await this.load(command);
        case 'tokenize':
          return this.tokenize(command);
        case 'template': {
          const text = this.loaded().applyChatTemplate(command.messages);
          return this.send({ event: 'templated', id: command.id, text });
        }
        case 'generate': {
          const job = this.generate(command);
          this.jobEnded = Promise.allSettled([this.jobEnded, job]).then(() => undefined);
          return await job;
        }
        case 'cancel':
          if (this.generating !== command.id) return;
          this.cancelled = true;
          this.engine?.cancel();
          return;
        case 'close':
          return await this.close();
      }
    } catch (error) {
      const message = error instanceof Error ? error.message : String(error);
      if ('id' in command) this.send({ event: 'failed', id: command.id, message });
      else this.send({ event: 'log', level: 'error', text: message });
    }
  }

  async close(): Promise<void> {
    const engine = this.engine;
    this.engine = null;
    if (engine === null) return;
    engine.cancel();
    await this.jobEnded;
    if (this.learnedToldAt > -Infinity) this.tellLearned(engine);
    await engine.dispose();
  }

  private tellLearned(engine: NativeEngine): void {
    this.learnedToldAt = performance.now();
    this.send({ event: 'learned', id: null, state: engine.learned() });
  }

  private loaded(): NativeEngine {
    if (this.engine === null) throw new Error('No model is loaded; restart the engine.');
    return this.engine;
  }

  private async load({ id, options }: Command<'load'>): Promise<void> {
    if (this.loading) throw new Error('A model is already loaded in this process; restart the engine to load another.');
    this.loading = true;
    const startedAt = performance.now();
    const addon = this.loadAddon(options.nativeDirectory);
    const backend = addon.initialize({
      nativeDirectory: options.nativeDirectory,
      backendDirectories: options.backendDirectories,
      cpuLibrary: options.cpuLibrary,
      backend: options.backend,
      onLog: (level, text) => {
        // llama.cpp calls an aborted computation an error; its debug lines are thousands.
        const told = this.cancelled && (level === 'error' || level === 'warning') ? 'debug' : level;
        if (told !== 'debug' || VERBOSE) this.send({ event: 'log', level: told, text });
      },
    });
    const { kernelsNote } = options;
    if (kernelsNote !== null) this.send({ event: 'log', level: 'info', text: `backend ${kernelsNote}` });
    const engine = await addon.load({ ...options, treeNodes: TREE_NODES });
    this.engine = engine;
    const notes = [...backend.notes, kernelsNote, engine.weightsNote].filter((note) => note !== null);
    this.send({
      event: 'loaded',
      id,
      description: {
        target: engine.target,
        drafter: engine.drafter,
        drafterNote: engine.drafterNote,
        backend: { ...backend, notes },
        threads: engine.threads,
        loadMs: performance.now() - startedAt,
      },
      fim: engine.fim,
    });
  }

  private tokenize({ id, texts, addBos, parseSpecial }: Command<'tokenize'>): void {
    const engine = this.loaded();
    const tokens = texts.map((text) => Array.from(engine.tokenize(text, addBos, parseSpecial)));
    this.send({ event: 'tokenized', id, tokens });
  }

  private async generate({ id, prompt, lookup, suffix, options }: Command<'generate'>): Promise<void> {
    const engine = this.loaded();
    const decoder = new TokenDecoder();
    this.generating = id;
    this.cancelled = false;
    try {
      const result = await engine.generate(
        {
          ...options,
          prompt: Int32Array.from(prompt),
          lookup: Int32Array.from(lookup),
          suffix: Int32Array.from(suffix),
          // A draft length that the user chose is a chain's.
          treeNodes: options.draftLength > 0 ? 0 : TREE_NODES,
          acceptance: 'auto',
        },
        (prefill) => this.send({ event: 'prefilled', id, ...prefill }),
        ({ bytes, origins, tokens: _ids, ...pass }) =>
          this.send({
            event: 'verified',
            id,
            pass,
            tokens: bytes.map((piece, index) => ({
              text: decoder.push(piece),
              origin: origins[index] ?? 'plain',
            })),
          }),
      );
      this.send({ event: 'generated', id, reason: result.reason, plainPassMs: result.plainPassMs });
      if (performance.now() - this.learnedToldAt > LEARNED_EVERY_MS) this.tellLearned(engine);
    } finally {
      this.generating = null;
    }
  }
}
