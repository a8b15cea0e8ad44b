/** Where completions are offered. Pure; the server refuses secret files. */
import type { EditorSettings } from '../../protocol/settings';
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

export type Eligibility = 'on' | 'off' | 'languageOff' | 'unsupported';

export function eligibility(place: PlaceOfWork, settings: EditorSettings): Eligibility {
  if (!SCHEMES.some((scheme) => scheme === place.scheme)) return 'unsupported';
  if (place.inDiff || COMMIT_LANGUAGES.has(place.languageId) || COMMIT_FILES.test(place.path)) return 'unsupported';
  if (!settings.enable) return 'off';
  return isLanguageOn(settings.languages, place.languageId) ? 'on' : 'languageOff';
}
