/** The target's tokenizer, as prompts use it. */

/** Tokens of each text; special tokens in the texts are plain text, nothing is added. */
export type Tokenizer = (texts: readonly string[]) => Promise<readonly (readonly number[])[]>;

/** Characters that surely hold more than `tokens` tokens of usual text; what is cut there is never tokenized. */
export function characterLimit(tokens: number): number {
  return tokens * 12;
}
