import { describe, expect, it } from 'vitest';
import { statusView, type StatusInput } from '../../../extension/status/view';
import type { EngineState, GenerationStats } from '../../../protocol/messages';

const last: GenerationStats = {
  tokens: 40,
  verifications: 16,
  tau: 2.5,
  draftAcceptance: 0.42,
  tokensPerSecond: 143.2,
  speedup: 1.62,
  promptTokens: 100,
  prefillTokens: 3,
  prefillMs: 12,
  firstBlockMs: 40,
  draftMs: 20,
  verifyMs: 260,
  target: 'SmolLM2',
  drafter: 'auto',
  backend: 'CPU',
};

const base: StatusInput = {
  enabled: true,
  offForLanguage: null,
  server: { phase: 'running' },
  engine: { state: 'ready' },
  loaded: null,
  otherEngines: 0,
  last: null,
  suggestions: { shown: 0, accepted: 0 },
};

const text = (more: Partial<StatusInput>): string => statusView({ ...base, ...more }).text;

describe('the status bar item', () => {
  it('says how fast the last completion was', () => {
    expect(text({})).toBe('SpecDiff');
    expect(text({ last })).toBe('SpecDiff 143 tok/s · 1.6×');
    expect(text({ last: { ...last, speedup: null } })).toBe('SpecDiff 143 tok/s');
    expect(text({ last: { ...last, tokensPerSecond: 0.3, speedup: null } })).toBe('SpecDiff <1 tok/s');
  });

  it.each<[EngineState, string, string]>([
    [{ state: 'starting' }, 'SpecDiff $(loading~spin) starting', 'none'],
    [{ state: 'importing', percent: 41.6, name: 'a model' }, 'SpecDiff $(file-add) 42 %', 'none'],
    [{ state: 'generating' }, 'SpecDiff $(loading~spin)', 'none'],
    [{ state: 'noModel', message: 'No model.' }, 'SpecDiff $(warning) no model', 'warning'],
    [{ state: 'error', message: 'It broke.' }, 'SpecDiff $(error)', 'error'],
    [{ state: 'idle' }, 'SpecDiff', 'none'],
  ])('shows %j', (engine, expected, severity) => {
    const view = statusView({ ...base, engine });
    expect(view.text).toBe(expected);
    expect(view.severity).toBe(severity);
    expect(view.accessibleLabel).toMatch(/^SpecDiff: \S/);
  });

  it('puts a server that failed before everything else', () => {
    const view = statusView({ ...base, enabled: false, server: { phase: 'failed', message: 'Gone for good.' } });
    expect(view).toMatchObject({ text: 'SpecDiff $(error)', severity: 'error' });
    expect(view.tooltip).toContain('Gone for good.');
  });

  it('shows the switches', () => {
    expect(text({ enabled: false })).toBe('SpecDiff $(circle-slash) off');
    expect(text({ offForLanguage: 'markdown', last })).toBe('SpecDiff $(circle-slash) off for markdown');
  });

  it('explains itself in the tooltip, in Markdown that names cannot break', () => {
    const { tooltip } = statusView({
      ...base,
      last,
      otherEngines: 1,
      suggestions: { shown: 5, accepted: 2 },
      loaded: {
        target: {
          path: '/m.gguf',
          name: 'Smol|LM_2',
          architecture: 'llama',
          fileBytes: 1,
          vocabularySize: 1,
          contextTokens: 1,
          fillInTheMiddle: false,
          chatTemplate: true,
        },
        drafter: null,
        drafterNote: 'other tokenizer',
        backend: { name: 'CPU (specdiff zen4, AVX2)', devices: [], notes: ['CUDA: no driver'] },
        threads: 2,
        loadMs: 1,
      },
    });
    expect(tooltip).toContain('| Model | Smol\\|LM\\_2 |');
    expect(tooltip).toContain('| Drafter | none (other tokenizer) |');
    expect(tooltip).toContain('CPU \\(specdiff zen4, AVX2\\), 2 threads');
    expect(tooltip).toContain('- CUDA: no driver');
    expect(tooltip).toContain('| τ (tokens a verification) | 2.50 |');
    expect(tooltip).toContain('| Draft acceptance | 42 % |');
    expect(tooltip).toContain('accepted: 2 of 5 shown');
    expect(tooltip).toContain('Another window');
  });
});
