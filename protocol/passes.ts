/** What the statistics of a pass mean, for all who add them up. */
import type { VerificationStats } from './messages';

/**
 * The first token of a generation is read off the prefill's last row: its pass has no time of its own, so it counts as
 * a pass (τ) but not as decoding speed.
 */
export function isDecoding(pass: VerificationStats): boolean {
  return pass.verifyMs > 0;
}
