/** The one place where the engine's context size is derived from the settings. */
import type { ServerSettings } from '../../protocol/settings';

/** Room for what budgets do not count: sentinels, chat template, a draft's rows beyond the last token. */
const SLACK_TOKENS = 192;
const LEAST_TOKENS = 2048;
const STEP_TOKENS = 256;

export function engineContextTokens(
  settings: Pick<ServerSettings, 'contextTokens' | 'maxTokens' | 'summaryContextTokens' | 'summaryMaxTokens'>,
): number {
  const needed = Math.max(
    settings.contextTokens + settings.maxTokens,
    settings.summaryContextTokens + settings.summaryMaxTokens,
  );
  return Math.max(LEAST_TOKENS, Math.ceil((needed + SLACK_TOKENS) / STEP_TOKENS) * STEP_TOKENS);
}
