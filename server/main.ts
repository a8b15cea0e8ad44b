/** Entry point of the language server: LSP over stdio. It ends with its client (the library sees to that). */
import { createConnection, ProposedFeatures } from 'vscode-languageserver/node';
import { serve } from './lsp/server';

serve(createConnection(ProposedFeatures.all, process.stdin, process.stdout));
