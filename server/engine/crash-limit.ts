/** How often the engine may end unexpectedly before it is left alone: a crash loop must not keep a machine busy. */
export class CrashLimit {
  private times: number[] = [];

  constructor(
    private readonly most = 3,
    private readonly withinMs = 120_000,
    private readonly now: () => number = () => performance.now(),
  ) {}

  add(): void {
    this.times = [...this.times, this.now()].slice(-this.most);
  }

  /** Stays reached until `reset`, however long ago the crashes are. */
  get reached(): boolean {
    const first = this.times[0];
    const last = this.times.at(-1);
    return this.times.length >= this.most && first !== undefined && last !== undefined && last - first <= this.withinMs;
  }

  reset(): void {
    this.times = [];
  }
}
