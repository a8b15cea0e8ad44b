/** What the client is told about the engine, on every change and only then. */
import type { EngineDescription, EngineState, StateParams } from '../../protocol/messages';

export class StateReporter {
  private state: StateParams = { engine: { state: 'idle' }, loaded: null, otherEngines: 0 };
  private sent = '';

  constructor(
    private readonly send: (state: StateParams) => void,
    private readonly loaded: () => EngineDescription | null,
  ) {}

  get current(): StateParams {
    return this.state;
  }

  engine(engine: EngineState): void {
    this.update({ ...this.state, engine });
  }

  otherEngines(otherEngines: number): void {
    this.update({ ...this.state, otherEngines });
  }

  private update(state: StateParams): void {
    this.state = { ...state, loaded: this.loaded() };
    const text = JSON.stringify(this.state);
    if (text === this.sent) return;
    this.sent = text;
    this.send(this.state);
  }
}
