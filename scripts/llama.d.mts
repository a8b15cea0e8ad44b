/** Types of llama.mjs for the tests. */
export function prebuiltFolder(root: string, platform?: string): string;
export function checkOutLlama(root: string): Promise<string>;
