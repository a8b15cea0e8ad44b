/** What the CLI prints: the text as it comes, or one JSON object a line. */
import type { GenerationStats, TelemetryParams, VerificationStats } from '../../protocol/messages';
import type { GenerationResult, GenerationSink } from '../generation/generate';

export class CliOutput implements GenerationSink {
  constructor(
    private readonly json: boolean,
    private readonly write: (text: string) => void,
  ) {}

  readonly block = (text: string): void => this.write(this.json ? line({ type: 'block', text }) : text);

  private readonly passes: Pick<VerificationStats, 'drafter' | 'drafted' | 'accepted' | 'reason'>[] = [];

  readonly telemetry = (event: TelemetryParams): void => {
    if (event.event !== 'verified') return;
    const { drafter, drafted, accepted, reason } = event.pass;
    this.passes.push({ drafter, drafted, accepted, reason });
  };

  done({ text, stats }: GenerationResult, further: object = {}): void {
    if (this.json) this.write(line({ type: 'done', text, ...figures(stats), passes: this.passes, ...further }));
    else if (!text.endsWith('\n')) this.write('\n');
  }
}

/** The figures by the names that scripts rely on, the rest after them. */
function figures(stats: GenerationStats): object {
  const { tokens, verifications, tau, draftAcceptance, tokensPerSecond, prefillTokens, prefillMs, firstBlockMs } =
    stats;
  const { target, drafter, backend, promptTokens, draftMs, verifyMs, speedup } = stats;
  return {
    ...{ tokens, verifications, tau, draftAcceptance, tokensPerSecond, prefillTokens, prefillMs, firstBlockMs },
    ...{ target, drafter, backend, promptTokens, draftMs, verifyMs, speedup },
  };
}

function line(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
