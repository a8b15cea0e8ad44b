/** Where the language server stands. */
export type ServerPhase =
  | { readonly phase: 'starting' }
  | { readonly phase: 'running' }
  | { readonly phase: 'failed'; readonly message: string };
