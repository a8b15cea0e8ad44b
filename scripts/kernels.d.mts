/** Types of kernels.mjs for the tests. */
export interface KernelBuild {
  /** CPU generation, by ggml's name. */
  readonly variant: string;
  /** Path of the library. */
  readonly library: string;
  /** Folder of llama.cpp's own libraries of the same version. */
  readonly prebuilt: string;
  /** llama.cpp's checkout. */
  readonly source: string;
  /** Folder with the programs, when they were asked for. */
  readonly build: string;
}

export function machineVariant(): string | null;
export function kernelLibrary(variant: string): string;
export function buildKernels(
  root: string,
  options?: { jobs?: number; tools?: boolean; sanitize?: boolean },
): Promise<KernelBuild | null>;
