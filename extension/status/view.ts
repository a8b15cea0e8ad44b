/** What the status bar says, from what is known. Pure. */
import type { EngineDescription, EngineState, GenerationStats } from '../../protocol/messages';
import type { ServerPhase } from '../client/phase';

export interface StatusInput {
  readonly enabled: boolean;
  /** Language id of the active editor where completions are off for that language, else null. */
  readonly offForLanguage: string | null;
  readonly server: ServerPhase;
  readonly engine: EngineState;
  readonly loaded: EngineDescription | null;
  readonly otherEngines: number;
  /** The last completion or summary that generated something. */
  readonly last: GenerationStats | null;
  readonly suggestions: { readonly shown: number; readonly accepted: number };
}

export interface StatusView {
  readonly text: string;
  readonly tooltip: string;
  readonly accessibleLabel: string;
  readonly severity: 'none' | 'warning' | 'error';
}

export function statusView(input: StatusInput): StatusView {
  const { text, state, severity } = summary(input);
  return { text, severity, tooltip: tooltip(input, state), accessibleLabel: `SpecDiff: ${state}` };
}

interface Summary {
  readonly text: string;
  /** The state in words. */
  readonly state: string;
  readonly severity: StatusView['severity'];
}

function summary(input: StatusInput): Summary {
  const { server, engine } = input;
  if (server.phase === 'failed') return { text: 'SpecDiff $(error)', state: server.message, severity: 'error' };
  if (engine.state === 'error') return { text: 'SpecDiff $(error)', state: engine.message, severity: 'error' };
  if (engine.state === 'noModel') {
    return { text: 'SpecDiff $(warning) no model', state: engine.message, severity: 'warning' };
  }
  if (engine.state === 'importing') {
    const percent = Math.round(engine.percent);
    return {
      text: `SpecDiff $(file-add) ${percent} %`,
      state: `importing ${engine.name}, ${percent} %`,
      severity: 'none',
    };
  }
  // A summary may run where completions are off.
  if (engine.state === 'generating') {
    return { text: `${speedText(input.last)} $(loading~spin)`, state: 'generating', severity: 'none' };
  }
  if (!input.enabled) return { text: 'SpecDiff $(circle-slash) off', state: 'switched off', severity: 'none' };
  if (input.offForLanguage !== null) {
    return {
      text: `SpecDiff $(circle-slash) off for ${input.offForLanguage}`,
      state: `off for ${input.offForLanguage}`,
      severity: 'none',
    };
  }
  if (server.phase === 'starting' || engine.state === 'starting') {
    return { text: 'SpecDiff $(loading~spin) starting', state: 'starting', severity: 'none' };
  }
  const rested = engine.state === 'idle';
  const speed = input.last === null ? '' : `, last completion ${speedWords(input.last)}`;
  return {
    text: speedText(input.last),
    state: (rested ? 'idle, the model is loaded at the next request' : 'ready') + speed,
    severity: 'none',
  };
}

function speedText(last: GenerationStats | null): string {
  if (last === null) return 'SpecDiff';
  const speedup = last.speedup === null ? '' : ` · ${last.speedup.toFixed(1)}×`;
  return `SpecDiff ${speedNumber(last)} tok/s${speedup}`;
}

function speedWords(last: GenerationStats): string {
  const speedup = last.speedup === null ? '' : `, ${last.speedup.toFixed(1)} times plain decoding`;
  const number = speedNumber(last);
  return `${number} ${number === '1' ? 'token' : 'tokens'} per second${speedup}`;
}

function speedNumber({ tokensPerSecond }: GenerationStats): string {
  return tokensPerSecond < 1 ? '<1' : String(Math.round(tokensPerSecond));
}

/** Markdown. */
function tooltip(input: StatusInput, state: string): string {
  const { loaded, last } = input;
  const paragraphs = [`**SpecDiff**: ${escapeMarkdown(state)}`];
  if (loaded !== null) {
    const drafter = loaded.drafter === null ? 'none' : escapeMarkdown(loaded.drafter.name);
    const rows = [
      ['Model', escapeMarkdown(loaded.target.name)],
      ['Drafter', drafter + (loaded.drafterNote === null ? '' : ` (${escapeMarkdown(loaded.drafterNote)})`)],
      ['Computed on', `${escapeMarkdown(loaded.backend.name)}, ${loaded.threads} threads`],
    ];
    paragraphs.push(table(rows));
    if (loaded.backend.notes.length > 0) {
      paragraphs.push(loaded.backend.notes.map((note) => `- ${escapeMarkdown(note)}`).join('\n'));
    }
  }
  if (last !== null) {
    const acceptance = last.draftAcceptance === null ? '–' : percent(last.draftAcceptance);
    paragraphs.push(
      table([
        ['Last completion', `${last.tokens} tokens, ${speedWords(last)}`],
        ['τ (tokens a verification)', last.tau.toFixed(2)],
        ['Draft acceptance', acceptance],
      ]),
    );
  }
  const { shown, accepted } = input.suggestions;
  if (shown > 0) paragraphs.push(`Suggestions you accepted: ${accepted} of ${shown} shown`);
  if (input.otherEngines > 0) {
    paragraphs.push(
      input.otherEngines === 1
        ? 'Another window runs an engine too; each takes memory of its own.'
        : `${input.otherEngines} other windows run engines too; each takes memory of its own.`,
    );
  }
  return paragraphs.join('\n\n');
}

function table(rows: readonly (readonly string[])[]): string {
  return ['| | |', '|:-|:-|', ...rows.map((row) => `| ${row.join(' | ')} |`)].join('\n');
}

function percent(ratio: number): string {
  return `${Math.round(ratio * 100)} %`;
}

function escapeMarkdown(text: string): string {
  return text.replace(/[\\`*_{}[\]()#+!|<>~]/g, '\\$&').replace(/\s+/g, ' ');
}
