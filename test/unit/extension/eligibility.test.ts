import { describe, expect, it } from 'vitest';
import { eligibility, refusal, type PlaceOfWork } from '../../../extension/inline/eligibility';
import { DEFAULT_SETTINGS } from '../../../protocol/settings';

const settings = DEFAULT_SETTINGS.editor;
const place = (more: Partial<PlaceOfWork> = {}): PlaceOfWork => ({
  scheme: 'file',
  path: '/w/a.ts',
  languageId: 'typescript',
  inDiff: false,
  ...more,
});

describe('completions', () => {
  it.each(['file', 'untitled', 'vscode-notebook-cell'])('are offered in %s documents', (scheme) => {
    expect(eligibility(place({ scheme }), settings)).toBe('on');
  });

  it.each(['output', 'git', 'vscode-scm', 'vscode-interactive-input', 'comment', 'specdiff-summary'])(
    'are not offered in %s documents',
    (scheme) => {
      expect(eligibility(place({ scheme }), settings)).toBe('unsupported');
    },
  );

  it('are not offered in comparisons and commit messages', () => {
    expect(eligibility(place({ inDiff: true }), settings)).toBe('unsupported');
    expect(eligibility(place({ languageId: 'git-commit' }), settings)).toBe('unsupported');
    expect(eligibility(place({ path: '/w/.git/COMMIT_EDITMSG', languageId: 'plaintext' }), settings)).toBe(
      'unsupported',
    );
  });

  it('are not offered in files that hold secrets', () => {
    expect(eligibility(place({ path: '/w/.env', languageId: 'dotenv' }), settings)).toBe('secret');
    expect(eligibility(place({ path: '/home/u/.ssh/config' }), settings)).toBe('secret');
  });

  it('that are refused say why when asked for, and are silent elsewhere', () => {
    expect(refusal('languageOff', 'go')).toContain('off for go');
    expect(refusal('off', 'go')).toContain('off');
    expect(refusal('secret', 'dotenv')).toContain('secrets');
    expect(refusal('unsupported', 'git-commit')).toBeNull();
  });

  it('follow the switches', () => {
    expect(eligibility(place(), { ...settings, enable: false })).toBe('off');
    expect(eligibility(place(), { ...settings, languages: { typescript: false } })).toBe('languageOff');
    expect(eligibility(place(), { ...settings, languages: { '*': false, typescript: true } })).toBe('on');
  });
});
