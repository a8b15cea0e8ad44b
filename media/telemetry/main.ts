/** The telemetry page's script: paints each snapshot the extension sends. It keeps no numbers of its own. */
import type { EmittedToken, PlanReason, TokenOrigin, VerificationStats } from '../../protocol/messages';
import type {
  Figures,
  GenerationRecord,
  SnapshotMessage,
  TelemetrySnapshot,
  ViewMessage,
} from '../../extension/telemetry/snapshot';

declare function acquireVsCodeApi(): { postMessage(message: ViewMessage): void };

const host = acquireVsCodeApi();

const ORIGIN_TITLES: Readonly<Record<TokenOrigin, string>> = {
  draft: 'drafted and accepted',
  correction: 'the target’s correction of a rejected draft token',
  bonus: 'the target’s own after a wholly accepted draft',
  plain: 'decoded without a draft',
};

const REASONS: Readonly<Record<PlanReason, string>> = {
  best: 'the most promising draft',
  plain: 'no draft was worth its time',
  trial: 'tried to learn from it',
  refresh: 'to measure a plain pass',
  wanted: 'as set',
  nothing: 'nothing to draft',
};

/** What is painted, so that a running generation's text and bars are only added to. */
let painted: { requestId: number; tokens: number; passes: number } | null = null;
let announced = '';

function element(id: string): HTMLElement {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`The page lacks #${id}.`);
  return found;
}

function set(id: string, text: string): void {
  const target = element(id);
  if (target.textContent !== text) target.textContent = text;
}

const decimal = (value: number | null, digits: number, unit = ''): string =>
  value === null ? '–' : value.toFixed(digits) + unit;
const percent = (value: number | null): string => (value === null ? '–' : `${(value * 100).toFixed(1)} %`);
const milliseconds = (value: number): string => `${value.toFixed(1)} ms`;

function paint({ current, session, suggestions }: TelemetrySnapshot): void {
  set('session-tau', decimal(session.tau, 2));
  set('session-acceptance', percent(session.draftAcceptance));
  set('session-tokens-per-second', decimal(session.tokensPerSecond, 1));
  set('session-speedup', decimal(session.speedup, 2, '×'));
  set('session-tokens', String(session.tokens));
  set('session-passes', String(session.passes));
  const { shown, accepted } = suggestions;
  set('suggestion-acceptance', shown === 0 ? '–' : `${accepted} of ${shown} (${percent(accepted / shown)})`);

  paintGeneration(current);
  announce(current);
}

function paintGeneration(current: GenerationRecord | null): void {
  const figures = current?.figures ?? null;
  set('tau', decimal(figures?.tau ?? null, 2));
  set('acceptance', percent(figures?.draftAcceptance ?? null));
  set('tokens-per-second', decimal(figures?.tokensPerSecond ?? null, 1));
  set('plain-tokens-per-second', decimal(figures?.plainTokensPerSecond ?? null, 1));
  set('speedup', decimal(figures?.speedup ?? null, 2, '×'));

  const tokens = element('tokens');
  const passes = element('passes');
  const keeps =
    current !== null &&
    painted?.requestId === current.requestId &&
    painted.tokens <= current.tokens.length &&
    painted.passes <= current.passes.length;
  if (!keeps) {
    tokens.replaceChildren();
    passes.replaceChildren();
    painted = current === null ? null : { requestId: current.requestId, tokens: 0, passes: 0 };
  }
  if (current !== null && painted !== null) {
    tokens.append(...current.tokens.slice(painted.tokens).map(tokenElement));
    passes.append(
      ...current.passes.slice(painted.passes).flatMap((pass) => [...stepElements(pass), passElement(pass)]),
    );
    painted = { requestId: current.requestId, tokens: current.tokens.length, passes: current.passes.length };
  }
  passes.setAttribute('aria-label', passesLabel(current));
  paintTime(figures);
}

function tokenElement(token: EmittedToken): HTMLElement {
  const span = document.createElement('span');
  span.className = `token ${token.origin}`;
  span.title = ORIGIN_TITLES[token.origin];
  span.textContent = token.text;
  return span;
}

/** Before a denoised draft's column: one for each step, its slots revealed so far filled, those still masked outlined. */
function stepElements({ drafter, denoisingSteps = [] }: VerificationStats): HTMLElement[] {
  const last = Math.max(0, ...denoisingSteps);
  const first = denoisingSteps.includes(0) ? 0 : 1;
  return Array.from({ length: last + 1 - first }, (_, index) => {
    const step = first + index;
    const column = document.createElement('div');
    column.className = 'pass step';
    const revealed = denoisingSteps.filter((revealedIn) => revealedIn === step).length;
    const when = step === 0 ? 'known from the last draft' : `revealed in step ${step} of ${last}`;
    column.title = `${drafter}: ${revealed} of ${denoisingSteps.length} positions ${when}`;
    column.append(
      ...denoisingSteps.map((revealedIn) => {
        const cell = document.createElement('div');
        cell.className = `cell ${revealedIn === step ? 'revealed' : revealedIn < step ? 'known' : 'masked'}`;
        return cell;
      }),
    );
    return column;
  });
}

/** A column: the drafted tokens as an outline, the accepted ones filled, the target's own on top. */
function passElement(pass: VerificationStats): HTMLElement {
  const column = document.createElement('div');
  column.className = 'pass';
  column.title = `${pass.drafter}: ${pass.accepted} of ${pass.drafted} drafted tokens accepted, ${pass.emitted} emitted (${REASONS[pass.reason]})`;
  const own = pass.emitted - pass.accepted;
  const kinds = [
    ['accepted', pass.accepted],
    ['own', own],
    ['rejected', Math.max(0, pass.drafted - pass.accepted)],
  ] as const;
  for (const [kind, count] of kinds) {
    for (let index = 0; index < count; index += 1) {
      const cell = document.createElement('div');
      cell.className = `cell ${kind}`;
      column.append(cell);
    }
  }
  return column;
}

function passesLabel(current: GenerationRecord | null): string {
  if (current === null || current.passes.length === 0) return 'No verification passes yet';
  const accepted = current.passes.map((pass) => pass.accepted).join(', ');
  return `${current.passes.length} verification passes, drafted tokens accepted in each: ${accepted}`;
}

function paintTime(figures: Figures | null): void {
  const parts = [
    ['prefill', figures?.prefillMs ?? 0],
    ['draft', figures?.draftMs ?? 0],
    ['verify', figures?.verifyMs ?? 0],
  ] as const;
  const total = parts.reduce((sum, [, ms]) => sum + ms, 0);
  for (const [name, ms] of parts) set(`${name}-ms`, figures === null ? '–' : milliseconds(ms));
  const bar = element('time');
  bar.replaceChildren(
    ...parts.map(([name, ms]) => {
      const part = document.createElement('div');
      part.className = `part ${name}`;
      part.style.flexGrow = String(ms);
      part.title = `${name}: ${milliseconds(ms)}`;
      return part;
    }),
  );
  const share = (ms: number): string => percent(ms / total);
  bar.setAttribute(
    'aria-label',
    total === 0 ? 'No time measured yet' : parts.map(([name, ms]) => `${name} ${share(ms)}`).join(', '),
  );
}

/** One sentence for a screen reader when a generation begins or ends, not for each token. */
function announce(current: GenerationRecord | null): void {
  const text = describe(current);
  if (text === announced) return;
  announced = text;
  set('status', text);
}

function describe(current: GenerationRecord | null): string {
  if (current === null) return 'Nothing has been generated yet.';
  const kind = current.kind === 'summary' ? 'Summary' : 'Completion';
  if (current.outcome === 'running') return `${kind} is being generated.`;
  const { tokens, passes, tau } = current.figures;
  const ending = { done: 'done', cancelled: 'cancelled', stale: 'outdated', refused: 'refused', failed: 'failed' };
  return `${kind} ${ending[current.outcome]}: ${tokens} tokens in ${passes} verifications, τ ${decimal(tau, 2)}.`;
}

element('reset').addEventListener('click', () => host.postMessage({ type: 'reset' }));
element('export').addEventListener('click', () => host.postMessage({ type: 'export' }));
window.addEventListener('message', (event: MessageEvent<SnapshotMessage>) => {
  paint(event.data.snapshot);
});
host.postMessage({ type: 'ready' });
