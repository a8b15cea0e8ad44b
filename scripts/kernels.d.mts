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
  /** Folder with the library, and with the programs when they were asked for. */
  readonly build: string;
  /** False where everything was up to date. */
  readonly ran: boolean;
}

export function machineVariant(): string | null;
export function kernelVariants(platform?: string): string[];
export function kernelLibrary(variant: string): string;
export function buildKernels(
  root: string,
  variant: string,
  options?: { jobs?: number; tools?: boolean; sanitize?: boolean; platform?: string },
): Promise<KernelBuild>;
export function installKernels(root: string, options?: { all?: boolean; jobs?: number }): Promise<void>;
