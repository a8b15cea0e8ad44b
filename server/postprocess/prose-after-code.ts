/**
 * Ends code where the model starts to talk about it. Small instruct models close the code with a fence and explain it:
 * "This function takes …", "Here is …", "### Explanation".
 */
import type { LineRule } from './line-filter';

const FENCE = /^\s*(?:```|~~~)/;
const HEADING = /^\s*(?:#{3,6}\s+[A-Z]|\*\*[A-Z][^*]*\*\*:?\s*$)/;
const LABEL =
  /^\s*(?:Explanation|Output|Example(?: usage| output)?|Note|Answer|Solution|Usage|Result|Sample (?:input|output)|Expected output|In this \w+)\s*:?\s*$/;
const OPENING =
  /^\s*(?:In (?:this|the) |(?:This|The|These|That|It|Here|Note|Now|You|We|I|Let|Sure|To|Your|Then|Finally|First|Please|If|When)(?:['’]\w+)? )[a-z`A-Z]/;
/** Characters and words of code that a sentence rarely has. */
const CODE = /[;{}=<>\\|&]|[\w\])]\(|\)\s*$|\[\w*\]|^\s*(?:if|when)\b.*(?::|\bthen|\bdo)\s*$|::|->/i;

/**
 * @param insideText the cursor stands in a comment or docstring, where sentences belong
 * @param onBlankLine nothing but whitespace stands before the cursor on its line
 */
export function proseAfterCode(insideText: boolean, onBlankLine: boolean): LineRule {
  let docstring = insideText;
  return {
    name: 'proseAfterCode',
    growing({ text, index }) {
      if (docstring || (index === 0 && !onBlankLine)) return 'keep';
      if (talks(text)) return 'drop';
      // The start of a fence or of a sentence may show itself only with the next token.
      return mayTalk(text) ? 'hold' : 'keep';
    },
    finished({ text, index }) {
      const quotes = text.match(/"""|'''/g)?.length ?? 0;
      if (!docstring && (index > 0 || onBlankLine) && talks(text)) return 'drop';
      if (quotes % 2 === 1) docstring = !docstring;
      else if (docstring && /\*\//.test(text)) docstring = false;
      else if (!docstring && /\/\*(?!.*\*\/)/.test(text)) docstring = true;
      return 'keep';
    },
  };
}

function talks(line: string): boolean {
  if (FENCE.test(line) || HEADING.test(line) || LABEL.test(line)) return true;
  return isSentence(line);
}

/** A line of words: an opening word of explanations, or a capital and many small words, and nothing of code. */
export function isSentence(line: string): boolean {
  if (CODE.test(line.replace(/`[^`]*`/g, ''))) return false;
  const words = line.trim().split(/\s+/);
  if (OPENING.test(line) && words.length >= 4) return true;
  const plain = words.filter((word) => /^[a-z]{2,}[,.:;]?$/.test(word)).length;
  return /^\s*[A-Z][a-z]/.test(line) && words.length >= 6 && plain >= words.length * 0.6;
}

function mayTalk(text: string): boolean {
  const trimmed = text.trim();
  if (trimmed === '') return false;
  if (/^[`~#*]/.test(trimmed)) return trimmed.length < 4;
  return /^[A-Z][a-z']*(?: [a-z`]|$)/.test(trimmed) && trimmed.split(/\s+/).length < 7 && !CODE.test(trimmed);
}
