/** Switches completions on and off, everywhere or for one language, where the user's own setting stands. */
import { ConfigurationTarget, workspace } from 'vscode';
import { isLanguageOn, readSettings } from '../settings';

const SECTION = 'specdiff';

/** @returns whether completions are on now. */
export async function toggle(): Promise<boolean> {
  const configuration = workspace.getConfiguration(SECTION);
  const enable = !readSettings(configuration).editor.enable;
  const target =
    configuration.inspect('enable')?.workspaceValue === undefined
      ? ConfigurationTarget.Global
      : ConfigurationTarget.Workspace;
  await configuration.update('enable', enable, target);
  return enable;
}

/** @returns whether completions are on for the language now. */
export async function toggleLanguage(languageId: string): Promise<boolean> {
  const configuration = workspace.getConfiguration(SECTION);
  const on = !isLanguageOn(readSettings(configuration).editor.languages, languageId);
  const inspected = configuration.inspect<Record<string, boolean>>('languages');
  // Elsewhere the workspace's own entry would go on hiding the user's.
  const inWorkspace = inspected?.workspaceValue?.[languageId] !== undefined;
  const target = inWorkspace ? ConfigurationTarget.Workspace : ConfigurationTarget.Global;
  const before = inWorkspace ? inspected.workspaceValue : inspected?.globalValue;
  await configuration.update('languages', { ...before, [languageId]: on }, target);
  return on;
}
