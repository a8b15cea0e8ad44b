/** The catalogue of known targets (models/catalogue.json), typed. */
import json from '../../models/catalogue.json';

/** A source distribution on PyPI that carries the model's file. */
export interface SdistSource {
  readonly kind: string;
  readonly package: string;
  readonly version: string;
  readonly archiveBytes: number;
  readonly archiveSha256: string;
  /** Path below the archive's one top folder. */
  readonly member: string;
}

export interface CatalogueEntry {
  readonly id: string;
  readonly name: string;
  readonly default: boolean;
  /** File name in models/cache/. */
  readonly file: string;
  readonly bytes: number;
  readonly sha256: string;
  readonly licence: string;
  readonly source: SdistSource;
  /** File name in models/ of the drafter trained for this target. */
  readonly drafter: string;
}

export const CATALOGUE: readonly CatalogueEntry[] = json.models;

export function defaultTarget(): CatalogueEntry {
  const entry = CATALOGUE.find((candidate) => candidate.default);
  if (entry === undefined) throw new Error('models/catalogue.json names no default target.');
  return entry;
}
