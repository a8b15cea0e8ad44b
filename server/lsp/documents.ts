/** The documents that the client has open, notebook cells among them, in the order of their last use. */
import { NotebookDocuments, TextDocuments, type Connection } from 'vscode-languageserver/node';
import { TextDocument } from 'vscode-languageserver-textdocument';
import type { LookupSource } from '../context/lookup';

/** More than this of other open files is never looked at. */
const SOURCE_CHARACTERS = 16_000;

export class OpenDocuments {
  private readonly texts = new TextDocuments(TextDocument);
  private readonly notebooks = new NotebookDocuments(this.texts);
  /** A set keeps the order of insertion: the last used stands last. */
  private readonly used = new Set<string>();

  listen(connection: Connection): void {
    this.texts.onDidChangeContent(({ document }) => this.use(document.uri));
    this.texts.onDidClose(({ document }) => this.used.delete(document.uri));
    this.texts.listen(connection);
    this.notebooks.listen(connection);
  }

  get(uri: string): TextDocument | undefined {
    return this.texts.get(uri);
  }

  /** Beginnings of the other open documents, the last used last. */
  others(uri: string): LookupSource[] {
    return [...this.used]
      .filter((other) => other !== uri)
      .flatMap((other) => {
        const document = this.texts.get(other);
        if (document === undefined) return [];
        const end = document.positionAt(SOURCE_CHARACTERS);
        return [{ uri: other, text: document.getText({ start: { line: 0, character: 0 }, end }) }];
      });
  }

  private use(uri: string): void {
    this.used.delete(uri);
    this.used.add(uri);
  }
}
