// Types of chromium.mjs for the tests.
export type Chromium = { readonly path: string } | { readonly path: null; readonly reason: string };
export function findOnPath(name: string): string | null;
export function ensureChromium(options?: { readonly install?: boolean }): Promise<Chromium>;
