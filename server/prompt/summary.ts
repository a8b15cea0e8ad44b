/** The prompt of a summary: the model's chat template around the code, or a plain request where it has none. */
import type { EngineSession } from '../engine/client';

export interface SummaryPrompt {
  readonly tokens: readonly number[];
  /** Lines of the selection that fitted. */
  readonly usedLines: number;
  readonly selectedLines: number;
}

const SYSTEM = 'You explain code and text to a programmer, briefly and in Markdown.';
/** Stands for the code while the template is applied: the code itself is tokenized apart, special tokens being plain text there. */
const PLACE = '@@SELECTION@@';

/** @param text the selection, with `\n` line ends */
export async function summaryPrompt(
  text: string,
  languageId: string,
  budgetTokens: number,
  engine: Pick<EngineSession, 'tokenize' | 'template' | 'description'>,
): Promise<SummaryPrompt> {
  const chat = engine.description.target.chatTemplate;
  const frame = chat ? await chatFrame(languageId, engine) : plainFrame(languageId);
  const [head = []] = await engine.tokenize([frame.head], { addBos: true, parseSpecial: chat });
  const [tail = []] = await engine.tokenize([frame.tail], { addBos: false, parseSpecial: chat });
  const lines = text.split('\n');
  const left = Math.max(0, budgetTokens - head.length - tail.length);
  const usedLines = await linesThatFit(lines, left, engine);
  const [code = []] = await engine.tokenize([lines.slice(0, usedLines).join('\n')], {
    addBos: false,
    parseSpecial: false,
  });
  // A single line beyond the budget is cut inside.
  return { tokens: [...head, ...code.slice(0, left), ...tail], usedLines, selectedLines: lines.length };
}

interface Frame {
  readonly head: string;
  readonly tail: string;
}

async function chatFrame(languageId: string, engine: Pick<EngineSession, 'template'>): Promise<Frame> {
  const fence = fenceName(languageId);
  const question = `Summarize what this does in two to four short sentences or bullet points.\n\n\`\`\`${fence}\n${PLACE}\n\`\`\``;
  const text = await engine.template([
    { role: 'system', content: SYSTEM },
    { role: 'user', content: question },
  ]);
  const [head = '', ...rest] = text.split(PLACE);
  return { head, tail: rest.join(PLACE) };
}

function plainFrame(languageId: string): Frame {
  return {
    head: `A short explanation of a piece of code.\n\nCode:\n\`\`\`${fenceName(languageId)}\n`,
    tail: '\n```\n\nWhat it does, in a few sentences:\n',
  };
}

function fenceName(languageId: string): string {
  return languageId === 'plaintext' ? '' : languageId.replace(/[^\w+#-]/g, '');
}

async function linesThatFit(
  lines: readonly string[],
  budget: number,
  engine: Pick<EngineSession, 'tokenize'>,
): Promise<number> {
  // A token has one character at least: beyond that many no line can fit.
  let characters = 0;
  const near = lines.filter((line) => (characters += line.length + 1) <= budget * 12);
  const counts = await engine.tokenize(
    near.map((line) => `${line}\n`),
    { addBos: false, parseSpecial: false },
  );
  let used = 0;
  let tokens = 0;
  while (used < near.length && tokens + (counts[used]?.length ?? 0) <= budget) tokens += counts[used++]?.length ?? 0;
  return Math.max(1, used);
}
