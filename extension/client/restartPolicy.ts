/** Caps how often a crashing server is started again. Pure: the clock is handed in. */
export class RestartPolicy {
  private crashes: number[] = [];

  /** @param most restarts within `windowMs` before giving up. */
  constructor(
    private readonly most = 4,
    private readonly windowMs = 180_000,
    private readonly now: () => number = Date.now,
  ) {}

  /** Counts a crash; false where the server should stay down. */
  mayRestart(): boolean {
    const now = this.now();
    this.crashes = this.crashes.filter((time) => now - time < this.windowMs);
    this.crashes.push(now);
    return this.crashes.length <= this.most;
  }

  /** The user asked for a restart: past crashes no longer count. */
  reset(): void {
    this.crashes = [];
  }
}
