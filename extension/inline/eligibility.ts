/** Where completions are offered. Pure. Secret files are refused here as in the server, by the same rule. */
import type { EditorSettings } from '../../protocol/settings';
import { isSecretFile } from '../../server/context/secrets';
import { isLanguageOn } from '../settings';

/** Schemes of documents that are worked on: not output, diffs' old sides, commit box, chat input or terminals. */
export const SCHEMES = ['file', 'untitled', 'vscode-notebook-cell'] as const;

const COMMIT_LANGUAGES = new Set(['git-commit', 'git-rebase', 'scminput', 'jj-commit']);
const COMMIT_FILES = /(^|[\\/])(COMMIT_EDITMSG|MERGE_MSG|TAG_EDITMSG|SQUASH_MSG|NOTES_EDITMSG|git-rebase-todo)$/;

export interface PlaceOfWork {
  readonly scheme: string;
  readonly path: string;
  readonly languageId: string;
  /** The document is shown as one side of a comparison. */
  readonly inDiff: boolean;
}

export type Eligibility = 'on' | 'off' | 'languageOff' | 'secret' | 'unsupported';

export function eligibility(place: PlaceOfWork, settings: EditorSettings): Eligibility {
  if (!SCHEMES.some((scheme) => scheme === place.scheme)) return 'unsupported';
  if (place.inDiff || COMMIT_LANGUAGES.has(place.languageId) || COMMIT_FILES.test(place.path)) return 'unsupported';
  if (isSecretFile(place.path)) return 'secret';
  if (!settings.enable) return 'off';
  return isLanguageOn(settings.languages, place.languageId) ? 'on' : 'languageOff';
}

/** What to answer somebody who asked for a completion where there is none; null where silence says enough. */
export function refusal(eligibility: Eligibility, languageId: string): string | null {
  switch (eligibility) {
    case 'off':
      return 'Completions are off; turn them on in the status bar’s menu.';
    case 'languageOff':
      return `Completions are off for ${languageId}; turn them on in the status bar’s menu.`;
    case 'secret':
      return 'This file may hold secrets, so it is neither read nor completed.';
    case 'on':
    case 'unsupported':
      return null;
  }
}
