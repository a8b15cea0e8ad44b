import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { completionFilters } from '../../../../server/postprocess/completion-filters';
import { ROOT } from '../support/product';
import { randomNumbers, randomPieces, run } from './run';

/** What the default target wrote (or a known-bad kind of text), and what is to be shown of it. */
interface Golden {
  readonly why: string;
  readonly language: string;
  readonly before: string;
  readonly after: string;
  readonly healed?: string;
  readonly crlf?: boolean;
  readonly generated: string;
  readonly reason?: 'endOfText' | 'maxTokens';
  readonly expected: string;
}

const FOLDER = join(ROOT, 'test/golden/completions');
const goldens = readdirSync(FOLDER).map((file) => ({
  file,
  golden: JSON.parse(readFileSync(join(FOLDER, file), 'utf8')) as Golden,
}));
const filters = (golden: Golden) =>
  completionFilters({
    before: golden.before,
    after: golden.after,
    languageId: golden.language,
    crlf: golden.crlf ?? false,
    healed: golden.healed ?? '',
  });

describe('golden completions', () => {
  for (const { file, golden } of goldens) {
    it(`${file}: ${golden.why}`, () => {
      const whole = run(filters(golden), [golden.generated], golden.reason);
      expect(whole.text).toBe(golden.expected);
    });
  }

  it('come out the same however the text is cut into pieces', () => {
    const random = randomNumbers(20_261_124);
    for (const { file, golden } of goldens) {
      for (let round = 0; round < 60; round++) {
        const pieces = randomPieces(golden.generated, random);
        const { text } = run(filters(golden), pieces, golden.reason);
        expect(text, `${file}: ${JSON.stringify(pieces)}`).toBe(golden.expected);
      }
    }
  });
});
