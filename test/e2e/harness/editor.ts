// A VS Code in a browser, on a fresh workspace, with the extension installed: what a user does and sees, as methods.
import { cpSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { chromium, type BrowserContext, type FrameLocator, type Locator, type Page } from 'playwright-core';
import { startVsCodeServer, type RunningServer } from '../../../scripts/vscode-server.mjs';
import type { Environment } from './environment';
import type { Recording } from './ghost';
import { descendants, type ProcessInfo } from './processes';

const CHROMIUM_FLAGS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** VS Code names an item after its extension and its own id. */
const STATUS_ITEM = '[id="specdiff.specdiff.specdiff.status"]';

/** Longest wait for one thing to appear: engine start and first prompt on a busy machine. */
const WAIT_MS = 120_000;
const QUICK_INPUT_MS = 20_000;
const QUICK_INPUT_ATTEMPTS = 3;

/** Keeps other features' pop-ups and automatic edits out of what the tests look at. */
const TEST_SETTINGS = {
  'editor.autoClosingBrackets': 'never',
  'editor.autoClosingComments': 'never',
  'editor.autoIndent': 'none',
  'editor.minimap.enabled': false,
  'editor.parameterHints.enabled': false,
  'editor.quickSuggestions': { other: 'off', comments: 'off', strings: 'off' },
  'editor.suggestOnTriggerCharacters': false,
  'files.autoSave': 'off',
  'git.enabled': false,
  'js/ts.tsserver.automaticTypeAcquisition.enabled': false,
  'typescript.disableAutomaticTypeAcquisition': true,
  'window.restoreWindows': 'none',
};

export interface EditorOptions {
  /** Files to put into the workspace beside the sample's, by relative path. */
  readonly files?: Readonly<Record<string, string>>;
  readonly settings?: Readonly<Record<string, unknown>>;
  /** Those of scope "machine". */
  readonly machineSettings?: Readonly<Record<string, unknown>>;
  readonly smokeTestDriver?: boolean;
  /** False where the page brings the extension itself, as a development copy. */
  readonly installExtension?: boolean;
  /** Called between the page's creation and its first address. */
  readonly beforeLoad?: (page: Page) => Promise<void>;
  /** More for the page's address, from the server's port. */
  readonly query?: (port: number) => string;
}

export class Editor {
  private constructor(
    readonly page: Page,
    readonly workspace: string,
    readonly server: RunningServer,
    private readonly context: BrowserContext,
    private readonly directory: string,
    private readonly output: string,
  ) {}

  static async open(environment: Environment, options: EditorOptions = {}): Promise<Editor> {
    const directory = mkdtempSync(path.join(os.tmpdir(), 'specdiff-e2e-'));
    const workspace = path.join(directory, 'workspace');
    cpSync(path.join(environment.root, 'test/fixtures/sample-workspace'), workspace, { recursive: true });
    for (const [name, text] of Object.entries(options.files ?? {})) {
      mkdirSync(path.dirname(path.join(workspace, name)), { recursive: true });
      writeFileSync(path.join(workspace, name), text);
    }
    const server = await startVsCodeServer({
      directory,
      server: environment.server,
      ...(options.installExtension === false
        ? {}
        : environment.vsix === null
          ? { extension: environment.extension }
          : { vsix: environment.vsix }),
      settings: { ...TEST_SETTINGS, ...options.settings },
      ...(options.machineSettings === undefined ? {} : { machineSettings: options.machineSettings }),
      smokeTestDriver: options.smokeTestDriver ?? false,
      env: { ...process.env, HOME: directory, VSCODE_IPC_HOOK_CLI: undefined },
    });
    const context = await chromium.launchPersistentContext(path.join(directory, 'browser'), {
      executablePath: environment.chromium,
      headless: true,
      viewport: { width: 1280, height: 800 },
      permissions: ['clipboard-read', 'clipboard-write'],
      args: CHROMIUM_FLAGS,
    });
    context.setDefaultTimeout(WAIT_MS);
    const page = context.pages()[0] ?? (await context.newPage());
    const output = path.join(environment.root, 'test/output');
    mkdirSync(output, { recursive: true });
    const editor = new Editor(page, workspace, server, context, directory, output);
    try {
      await page.addInitScript({ path: path.join(environment.root, 'test/e2e/harness/page-probe.mjs') });
      await options.beforeLoad?.(page);
      await page.goto(`${server.url}/?folder=${encodeURI(workspace)}${options.query?.(server.port) ?? ''}`);
      if (options.smokeTestDriver !== true) await editor.status.waitFor();
    } catch (error) {
      await editor.screenshot('failed-to-open');
      await editor.close();
      throw error;
    }
    return editor;
  }

  async close(): Promise<void> {
    await this.context.close();
    await this.server.stop();
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
  }

  /** The folder of the installed extensions. */
  get extensions(): string {
    return path.join(this.directory, 'extensions');
  }

  async screenshot(name: string): Promise<void> {
    await this.page.screenshot({ path: path.join(this.output, `${name}.png`), animations: 'disabled' });
  }

  /** Copies the extension's log beside the screenshots. */
  keepLogs(name: string): void {
    const logs = path.join(this.directory, 'user/logs');
    for (const file of readdirSync(logs, { recursive: true, encoding: 'utf8' })) {
      if (/specdiff[^/]*\.log$/i.test(file)) cpSync(path.join(logs, file), path.join(this.output, `${name}.log`));
    }
  }

  // ---------------------------------------------------------------- files and cursor

  /** Opens a file of the workspace and waits until all of the text editor's parts work. */
  async openFile(name: string): Promise<void> {
    await this.openTab(name);
    await this.page.locator('.editor-instance .monaco-editor .view-line').first().waitFor();
    // Ghost text belongs to the parts that VS Code starts in an idle moment; folding does too, and can be seen.
    const foldable = /^\S.*\n[ \t]+\S/m.test(this.onDisk(name));
    if (foldable) await this.page.locator('.codicon-folding-expanded').first().waitFor({ state: 'attached' });
    await this.idle();
  }

  /**
   * Waits until the page has had an idle moment. In one VS Code starts the parts of a text editor that can wait, ghost
   * text among them, and on a busy machine it would come after the typing. Callbacks run in the order they came in.
   */
  private async idle(): Promise<void> {
    await this.page.evaluate('new Promise((done) => requestIdleCallback(() => done()))');
  }

  /** Opens a file of the workspace in whatever editor it has. */
  async openTab(name: string): Promise<void> {
    await this.pickQuickly('Control+p', name, path.basename(name));
    await this.activeTab(path.basename(name)).waitFor();
  }

  /** Gives the focus back to an open file, from wherever it is. */
  async clickTab(name: string): Promise<void> {
    await this.page.locator(`.tab[data-resource-name="${path.basename(name)}"]`).click();
    await this.activeTab(path.basename(name)).waitFor();
  }

  /** Opens an empty buffer whose text editor asks for ghost text. */
  async newUntitledFile(): Promise<void> {
    await this.runCommand('File: New Untitled Text File');
    await this.activeTab('Untitled-1').waitFor();
    await this.idle();
  }

  /**
   * Opens VS Code's quick input by a key, fills it in and takes the first row with that text. It closes itself when
   * anything else takes the focus, as a slowly opening editor may: then it is opened once more, as a user would.
   */
  private async pickQuickly(key: string, text: string, row: string): Promise<void> {
    const found = this.page.locator('.quick-input-list .monaco-list-row', { hasText: row }).first();
    for (let attempt = 1; ; attempt += 1) {
      await this.page.keyboard.press(key);
      try {
        await this.quickInput.waitFor({ timeout: QUICK_INPUT_MS });
        await this.quickInput.fill(text, { timeout: QUICK_INPUT_MS });
        await found.click({ timeout: QUICK_INPUT_MS });
        return;
      } catch (error) {
        if (attempt === QUICK_INPUT_ATTEMPTS) throw error;
        await this.page.keyboard.press('Escape');
      }
    }
  }

  get quickInput(): Locator {
    return this.page.locator('.quick-input-widget input[type="text"]').first();
  }

  async runCommand(title: string): Promise<void> {
    await this.pickQuickly('F1', `>${title}`, title);
  }

  /** Puts the cursor at a line and column, both from 1. */
  async moveTo(line: number, column: number): Promise<void> {
    await this.page.keyboard.press('Control+g');
    await this.quickInput.waitFor();
    await this.quickInput.fill(`:${line}:${column}`);
    await this.page.keyboard.press('Enter');
    await this.page.locator('.statusbar-item', { hasText: `Ln ${line}, Col ${column}` }).waitFor();
  }

  async moveToEnd(): Promise<void> {
    await this.page.keyboard.press('Control+End');
  }

  async type(text: string, delay = 30): Promise<void> {
    await this.page.keyboard.type(text, { delay });
  }

  async press(key: string): Promise<void> {
    await this.page.keyboard.press(key);
  }

  /** Saves the active file and gives its text on disk. */
  async save(name: string): Promise<string> {
    await this.page.keyboard.press('Control+s');
    await this.page.locator(`.tab.active:not(.dirty)[data-resource-name="${path.basename(name)}"]`).waitFor();
    return this.onDisk(name);
  }

  onDisk(name: string): string {
    return readFileSync(path.join(this.workspace, name), 'utf8');
  }

  /** The tab of the file of that name, once it has the focus. */
  activeTab(name: string): Locator {
    return this.page.locator(`.editor-group-container.active .tab.active[data-resource-name="${name}"]`);
  }

  // ---------------------------------------------------------------- ghost text

  /** The ghost text on screen; empty when there is none. */
  async ghost(): Promise<string> {
    return this.page.evaluate<string>('specdiffProbe.read()');
  }

  /** Waits for ghost text, longer than `length` characters. */
  async waitForGhost(length = 0): Promise<string> {
    let text = '';
    while (text.length <= length) {
      await this.page.waitForFunction(`specdiffProbe.read().length > ${length}`);
      // In a frame of its own, since that one may have been half drawn; the text may be gone again by then.
      text = await this.ghost();
    }
    return text;
  }

  /** Whether ghost text comes within that time. */
  async appears(withinMs: number): Promise<boolean> {
    const text = this.page.waitForFunction(`specdiffProbe.read() !== ''`, undefined, { timeout: withinMs });
    return text.then(
      () => true,
      () => false,
    );
  }

  async waitForNoGhost(): Promise<void> {
    await this.page.waitForFunction(`specdiffProbe.read() === ''`);
  }

  async startRecording(): Promise<void> {
    await this.page.evaluate('specdiffProbe.start()');
  }

  /** The frames since startRecording or the last call, and the keys pressed. */
  async takeRecording(): Promise<Recording> {
    return this.page.evaluate<Recording>('specdiffProbe.take()');
  }

  /** Waits until two more frames were painted, so that what an event caused can be seen. */
  async settle(): Promise<void> {
    await this.page.evaluate(
      'new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(() => setTimeout(done))))',
    );
  }

  // ---------------------------------------------------------------- the extension's own surface

  get status(): Locator {
    return this.page.locator(STATUS_ITEM);
  }

  /** Waits until the status bar item's text matches. */
  async waitForStatus(pattern: RegExp): Promise<string> {
    await this.page.locator(STATUS_ITEM, { hasText: pattern }).waitFor();
    return this.status.innerText();
  }

  /** Waits until nothing is being generated any more. The last of the text may come to the screen after that. */
  async waitForIdle(): Promise<void> {
    await this.page.locator(STATUS_ITEM, { hasNot: this.page.locator('.codicon-modifier-spin') }).waitFor();
  }

  notification(text: string | RegExp): Locator {
    return this.page.locator('.notifications-toasts .notification-list-item', { hasText: text });
  }

  /** Every notification of the session that is not yet dismissed, also those whose toast has gone. */
  async notifications(): Promise<string[]> {
    await this.runCommand('Notifications: Show Notifications');
    await this.page.locator('.notifications-center.visible').waitFor();
    return this.page.locator('.notifications-center .notification-list-item-message').allInnerTexts();
  }

  /** The page of a webview on screen, by the id of the extension or view it belongs to. */
  webview(owner: string): FrameLocator {
    const outer = this.page.locator(`iframe.webview.ready[src*="${owner}"]`).last().contentFrame();
    return outer.locator('#active-frame').contentFrame();
  }

  async clipboard(): Promise<string> {
    return this.page.evaluate<string>('navigator.clipboard.readText()');
  }

  /** The engine processes that run now. */
  get engines(): ProcessInfo[] {
    return this.processes('dist/engine.js');
  }

  /** Processes below the VS Code server whose command line has `part` in it. */
  processes(part: string): ProcessInfo[] {
    return descendants(this.server.pid).filter((info) => info.command.includes(part));
  }
}
