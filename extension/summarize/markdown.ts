/** The summary page's Markdown. Pure. */
import type { SummarizeResult } from '../../protocol/messages';

export type SummaryState =
  { readonly state: 'running' } | { readonly state: 'ended'; readonly result: SummarizeResult };

/** The summary's text, with a mark where it was ended by the limit of tokens. */
export function keptText(result: SummarizeResult, text = result.text): string {
  return result.unfinished === true ? `${text.trim()} …` : text.trim();
}

/**
 * Text that fetches nothing: VS Code's preview loads images of any https address, which a text under summary could make
 * the model write. Neither an image nor a tag begins with what a zero-width space parts; in code it is not seen.
 */
function harmless(text: string): string {
  return text.replace(/!(?=\[)|<(?=[a-z/!?])/gi, '$&\u200b');
}

/** @param source what is summarized, e.g. "main.ts, lines 3–20". */
export function summaryMarkdown(source: string, text: string, state: SummaryState): string {
  const parts = [`# Summary`, `*${harmless(source.replace(/([*_\\`])/g, '\\$1'))}*`];
  const written = text.trim();
  if (state.state === 'running') {
    parts.push(written === '' ? '…' : `${harmless(written)} …`);
  } else {
    const { outcome, message, cut, unfinished } = state.result;
    if (written !== '') parts.push(harmless(keptText(state.result, text)));
    if (cut !== undefined) {
      parts.push(
        `> The selection is longer than the model’s budget: ${cut.usedLines} of its ${cut.selectedLines} lines were summarized.`,
      );
    }
    if (unfinished === true) {
      parts.push(
        '> The summary ends here because it reached its limit; raise `specdiff.summary.maxTokens` for longer ones.',
      );
    }
    if (outcome === 'cancelled') parts.push('> Cancelled.');
    if (outcome === 'stale') parts.push('> The document changed meanwhile; summarize again.');
    if (outcome === 'refused' || outcome === 'failed')
      parts.push(`> ${harmless(message ?? 'No summary could be written.')}`);
    if (outcome === 'done' && written === '') parts.push('> The model wrote nothing about this selection.');
  }
  return `${parts.join('\n\n')}\n`;
}
