/** A file as a document, with the language that its name tells. */
import { readFile } from 'node:fs/promises';
import { extname, basename, resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { TextDocument } from 'vscode-languageserver-textdocument';

const LANGUAGES: Readonly<Record<string, string>> = {
  '.py': 'python',
  '.js': 'javascript',
  '.mjs': 'javascript',
  '.cjs': 'javascript',
  '.jsx': 'javascriptreact',
  '.ts': 'typescript',
  '.mts': 'typescript',
  '.cts': 'typescript',
  '.tsx': 'typescriptreact',
  '.go': 'go',
  '.rs': 'rust',
  '.c': 'c',
  '.h': 'c',
  '.cc': 'cpp',
  '.cpp': 'cpp',
  '.hpp': 'cpp',
  '.cu': 'cuda-cpp',
  '.java': 'java',
  '.kt': 'kotlin',
  '.cs': 'csharp',
  '.rb': 'ruby',
  '.php': 'php',
  '.swift': 'swift',
  '.sh': 'shellscript',
  '.sql': 'sql',
  '.json': 'json',
  '.yaml': 'yaml',
  '.yml': 'yaml',
  '.toml': 'toml',
  '.html': 'html',
  '.css': 'css',
  '.md': 'markdown',
  '.markdown': 'markdown',
  '.rst': 'restructuredtext',
  '.tex': 'latex',
  '.txt': 'plaintext',
};

export async function readFileDocument(path: string): Promise<TextDocument> {
  const text = await readFile(path, 'utf8').catch((error: unknown) => {
    throw new Error(
      `${path} could not be read (${error instanceof Error ? error.message : String(error)}); check the name.`,
    );
  });
  const language = LANGUAGES[extname(basename(path)).toLowerCase()] ?? 'plaintext';
  return TextDocument.create(pathToFileURL(resolve(path)).href, language, 0, text);
}
