/**
 * The completion that comes next if the last one is accepted, begun while the user reads that one. Nobody is told of it until
 * somebody asks for just this place; then it tells all that it has written, and goes on as the request's own.
 */
import type { GenerationResult, GenerationSink } from '../generation/generate';
import type { CursorText } from './source';

/** Where a completion goes on from. */
export interface CompletionPlace {
  readonly uri: string;
  readonly text: CursorText;
}

type Told = (sink: GenerationSink) => void;

export class CompletionAhead {
  private readonly cancellation = new AbortController();
  private readonly told: Told[] = [];
  private sink: GenerationSink | null = null;
  private firstBlockAt: number | null = null;
  private failed = false;
  private readonly result: Promise<GenerationResult>;

  /** `run` completes the place; it rejects or resolves when the signal fires. */
  constructor(
    private readonly place: CompletionPlace,
    run: (sink: GenerationSink, signal: AbortSignal) => Promise<GenerationResult>,
  ) {
    const sink: GenerationSink = {
      block: (text) => {
        this.firstBlockAt ??= performance.now();
        this.tell((to) => to.block(text));
      },
      telemetry: (event) => this.tell((to) => to.telemetry(event)),
    };
    this.result = run(sink, this.cancellation.signal);
    // Nobody has asked for it: who asks after a failure gets a completion of their own.
    this.result.catch(() => {
      this.failed = true;
    });
  }

  /** Whether it can be had there. The text before the cursor may begin elsewhere, where it is cut: that goes in steps. */
  isAt({ uri, text }: CompletionPlace): boolean {
    const ahead = this.place.text;
    const [longer, shorter] = text.before.length > ahead.before.length ? [text, ahead] : [ahead, text];
    const same = longer.before === shorter.before || (!shorter.whole && longer.before.endsWith(shorter.before));
    return !this.failed && same && uri === this.place.uri && text.after === ahead.after;
  }

  /** Makes it the completion of a request that arrived at `arrivedAt` (performance.now()). */
  async take(
    requestId: number,
    output: GenerationSink,
    arrivedAt: number,
    signal: AbortSignal,
  ): Promise<GenerationResult> {
    const drop = (): void => this.drop();
    signal.addEventListener('abort', drop, { once: true });
    if (signal.aborted) this.drop();
    this.sink = {
      block: output.block,
      telemetry: (event) => output.telemetry({ ...event, requestId }),
    };
    for (const tell of this.told.splice(0)) tell(this.sink);
    try {
      const result = await this.result;
      const firstBlockMs = this.firstBlockAt === null ? null : Math.max(0, this.firstBlockAt - arrivedAt);
      return { ...result, stats: { ...result.stats, firstBlockMs } };
    } finally {
      signal.removeEventListener('abort', drop);
    }
  }

  /** Ends it. */
  drop(): void {
    this.cancellation.abort();
  }

  private tell(told: Told): void {
    if (this.sink === null) this.told.push(told);
    else told(this.sink);
  }
}
