/** Messages to the user, each text at most once a session. */
import type { UserMessageParams } from '../../protocol/messages';

export class UserMessages {
  private readonly shown = new Set<string>();

  constructor(private readonly send: (message: UserMessageParams) => void) {}

  once(level: UserMessageParams['level'], message: string): void {
    if (this.shown.has(message)) return;
    this.shown.add(message);
    this.send({ level, message });
  }
}
