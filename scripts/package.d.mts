// Types of package.mjs for the tests.
export function packageExtension(options?: {
  readonly model?: boolean;
  readonly allKernels?: boolean;
  readonly folder?: string;
}): Promise<string>;
