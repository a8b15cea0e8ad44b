// Types of package.mjs for the tests.
export function packageExtension(options?: { readonly model?: boolean; readonly folder?: string }): Promise<string>;
