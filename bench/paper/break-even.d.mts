export const DRAFTS: readonly number[];
export function tokensAPass(acceptance: number, slots: number): number;
export function leastPassMs(tau: number, cost: number, draftMs: number): number | null;
export function line(points: readonly (readonly [number, number])[]): [number, number];

type Times = Readonly<Record<number, { readonly least: number }>>;

export interface BreakEven {
  readonly drafter: string;
  readonly steps: number;
  readonly acceptance: number;
  readonly best: {
    readonly slots: number;
    readonly tau: number;
    readonly passMs: number;
    readonly billions: number;
  } | null;
}
export function breakEven(measured: {
  readonly targets: readonly { readonly billions: number; readonly times: Times }[];
  readonly drafters: readonly { readonly name: string; readonly times: Times }[];
}): BreakEven[];

export function speedups(measured: {
  readonly targets: readonly { readonly name: string; readonly times: Times }[];
  readonly drafters: readonly { readonly name: string; readonly times: Times }[];
}): {
  readonly drafter: string;
  readonly target: string;
  readonly steps: number;
  readonly acceptance: number;
  readonly slots: number;
  readonly speedup: number;
}[];
