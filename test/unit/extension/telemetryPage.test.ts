import { expect, it } from 'vitest';
import { telemetryPage } from '../../../extension/telemetry/html';

const page = telemetryPage({
  cspSource: 'https://h',
  nonce: 'n0',
  scriptUri: 'https://h/s.js',
  styleUri: 'https://h/s.css',
});

it('allows one script by nonce, its own styles and nothing else', () => {
  expect(page).toContain(`default-src 'none'; style-src https://h; script-src 'nonce-n0'"`);
  expect(page.match(/<script/g)).toHaveLength(1);
  expect(page).toContain('<script nonce="n0" src="https://h/s.js">');
  expect(page).not.toMatch(/ style="| on\w+="|http:/);
});

it('has each element once', () => {
  const ids = [...page.matchAll(/ id="([\w-]+)"/g)].map((match) => match[1]);
  expect(new Set(ids).size).toBe(ids.length);
  for (const id of [
    ...['tau', 'acceptance', 'tokens-per-second', 'speedup', 'tokens', 'passes'],
    ...['session-tau', 'session-acceptance', 'reset', 'export'],
  ]) {
    expect(ids).toContain(id);
  }
});
