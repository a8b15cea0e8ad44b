import assert from 'node:assert/strict';
import * as vscode from 'vscode';
import { accept, api, closeAll, complete, openText } from './helpers';

const CODE = `function add(first, second) {
  return first + second;
}

function subtract(first, second) {
  return first - second;
}

function multiply(first, second) {
  return`;

describe('completion', () => {
  afterEach(closeAll);

  it('from the real server is inserted whole, and counted', async () => {
    const { telemetry } = await api();
    const { document } = await openText(CODE);
    const before = telemetry();
    await complete();
    const text = await accept('editor.action.inlineSuggest.commit', document);
    assert.ok(text.startsWith(CODE) && text.trimEnd().length > CODE.length, text);
    const after = telemetry();
    assert.equal(after.suggestions.accepted, before.suggestions.accepted + 1);
    assert.ok(after.session.tokens > before.session.tokens);
  });

  it('is taken word by word, and what remains comes from the same generation', async () => {
    const { telemetry } = await api();
    const { document } = await openText(CODE);
    await complete();
    const { generations } = telemetry().session;
    const { accepted } = telemetry().suggestions;
    const first = await accept('editor.action.inlineSuggest.acceptNextWord', document);
    const second = await accept('editor.action.inlineSuggest.acceptNextWord', document);
    assert.ok(first.startsWith(CODE) && first.length > CODE.length, first);
    assert.ok(second.startsWith(first) && second.length > first.length, second);
    assert.equal(telemetry().session.generations, generations);
    // Counted once however many parts are taken. The words are long: a single character might as well have been typed.
    const parts = [first.slice(CODE.length), second.slice(first.length)];
    assert.equal(telemetry().suggestions.accepted, accepted + 1, parts.join('|'));
  });

  it('that is dismissed is gone', async () => {
    const { document } = await openText(CODE);
    await complete();
    await vscode.commands.executeCommand('specdiff.dismiss');
    await vscode.commands.executeCommand('editor.action.inlineSuggest.commit');
    assert.equal(document.getText(), CODE);
  });
});
