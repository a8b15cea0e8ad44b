import { readFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from 'vitest';
import { BOUNDS, isLanguageOn, readSettings } from '../../../extension/settings';
import { BACKENDS, DEFAULT_SETTINGS, DRAFTERS, KERNELS } from '../../../protocol/settings';

interface Property {
  type: string;
  default: unknown;
  minimum?: number;
  maximum?: number;
  enum?: string[];
  markdownDescription: string;
  markdownEnumDescriptions?: string[];
  scope?: string;
}

const root = path.resolve(import.meta.dirname, '../../..');
const manifest = JSON.parse(readFileSync(path.join(root, 'package.json'), 'utf8')) as {
  contributes: { configuration: { title: string; properties: Record<string, Property> }[] };
};
const texts = JSON.parse(readFileSync(path.join(root, 'package.nls.json'), 'utf8')) as Record<string, string>;
const properties = Object.fromEntries(
  manifest.contributes.configuration
    .flatMap((group) => Object.entries(group.properties))
    .map(([key, property]) => [key.replace(/^specdiff\./, ''), property]),
);

/** Reads settings that are at their manifest defaults except for the given ones; notes the keys asked for. */
function read(changed: Record<string, unknown> = {}, asked = new Set<string>()) {
  return readSettings({
    get: (key) => {
      asked.add(key);
      return key in changed ? changed[key] : properties[key]?.default;
    },
  });
}

describe('settings', () => {
  it('have the manifest’s defaults, and the same ones where nothing is set', () => {
    expect(read()).toEqual(DEFAULT_SETTINGS);
    expect(readSettings({ get: () => undefined })).toEqual(DEFAULT_SETTINGS);
  });

  it('are exactly those of the manifest', () => {
    const asked = new Set<string>();
    read({}, asked);
    expect([...asked].sort()).toEqual(Object.keys(properties).sort());
  });

  it('have the manifest’s bounds', () => {
    const numeric = Object.entries(properties).filter(([, { type }]) => type === 'integer' || type === 'number');
    expect(
      Object.fromEntries(
        numeric.map(([key, { type, minimum, maximum }]) => [key, { minimum, maximum, integer: type === 'integer' }]),
      ),
    ).toEqual(BOUNDS);
  });

  it('have the manifest’s choices', () => {
    expect(properties['drafter']?.enum).toEqual(DRAFTERS);
    expect(properties['engine.backend']?.enum).toEqual(BACKENDS);
    expect(properties['engine.kernels']?.enum).toEqual(KERNELS);
  });

  it('each change something', () => {
    for (const [key, property] of Object.entries(properties)) {
      const other = {
        boolean: !(property.default as boolean),
        string: property.enum?.[1] ?? 'x',
        integer: property.default === property.minimum ? (property.maximum ?? 0) : property.minimum,
        number: property.default === property.minimum ? property.maximum : property.minimum,
        array: ['x'],
        object: { go: false },
      }[property.type];
      expect(read({ [key]: other }), key).not.toEqual(DEFAULT_SETTINGS);
    }
  });

  it('are clamped and rounded', () => {
    const { server, editor } = read({
      debounceMs: -5,
      'completion.maxTokens': 1e9,
      'completion.contextTokens': 100.4,
      'completion.suffixTokens': 96,
      'sampling.temperature': 9,
      'sampling.topP': Number.NaN,
    });
    expect(editor.debounceMs).toBe(0);
    expect(server.maxTokens).toBe(1024);
    expect(server.contextTokens).toBe(100);
    expect(server.suffixTokens).toBe(50);
    expect(server.sampling.temperature).toBe(2);
    expect(server.sampling.topP).toBe(1);
  });

  it('fall back where a value has the wrong type', () => {
    const wrong = Object.fromEntries(Object.keys(properties).map((key) => [key, Symbol('wrong')]));
    expect(read(wrong)).toEqual(DEFAULT_SETTINGS);
    expect(read({ languages: { go: 'no', c: false }, 'engine.backendDirectories': ['/a', 1, ' '] })).toMatchObject({
      editor: { languages: { c: false } },
      server: { backendDirectories: ['/a'] },
    });
  });

  it('that a workspace must not set are machine-scoped', () => {
    const machine = Object.keys(properties).filter((key) => properties[key]?.scope === 'machine');
    expect(machine.sort()).toEqual(
      Object.keys(properties)
        .filter((key) => key.startsWith('engine.') || key.endsWith('.path'))
        .sort(),
    );
  });
});

describe('the manifest', () => {
  it('has a text for every placeholder, and no other texts', () => {
    const used = [...JSON.stringify(manifest).matchAll(/%([\w.]+)%/g)].map((match) => match[1]);
    expect(Object.keys(texts).sort()).toEqual([...new Set(used)].sort());
  });

  it('takes no Tab key', () => {
    const keys = (manifest.contributes as unknown as { keybindings: { key: string }[] }).keybindings;
    expect(keys.map(({ key }) => key)).toEqual(['escape', 'alt+\\']);
  });
});

describe('languages', () => {
  it('go by their own entry, else by "*", else are on', () => {
    expect(isLanguageOn({ go: false, '*': true }, 'go')).toBe(false);
    expect(isLanguageOn({ go: true, '*': false }, 'go')).toBe(true);
    expect(isLanguageOn({ go: true, '*': false }, 'c')).toBe(false);
    expect(isLanguageOn({}, 'c')).toBe(true);
  });
});
