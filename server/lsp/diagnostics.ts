/** The diagnostics report: versions, machine, settings, engine, last problems; no document text. */
import { cpus, freemem, release, totalmem } from 'node:os';
import type { StateParams } from '../../protocol/messages';
import type { ServerSettings } from '../../protocol/settings';
import { version } from '../../package.json';

export function diagnosticsReport(
  settings: ServerSettings,
  state: StateParams,
  lastProblems: readonly string[],
): string {
  const { engine, loaded, otherEngines } = state;
  const gigabytes = (bytes: number): string => `${(bytes / 1e9).toFixed(1)} GB`;
  const processors = cpus();
  const rows = [
    `SpecDiff ${version}, Node ${process.versions.node}, ${process.platform}-${process.arch} ${release()}`,
    `Processor: ${processors[0]?.model ?? 'unknown'}, ${processors.length} threads`,
    `Memory: ${gigabytes(freemem())} free of ${gigabytes(totalmem())}; server ${gigabytes(process.memoryUsage().rss)}`,
    `Engine: ${engine.state}${'message' in engine ? ` (${engine.message})` : ''}; other windows' engines: ${otherEngines}`,
  ];
  return [
    '# SpecDiff diagnostics',
    rows.map((row) => `- ${row}`).join('\n'),
    section('Loaded', loaded),
    section('Settings', settings),
    `## Last problems\n\n${lastProblems.length === 0 ? 'None.' : lastProblems.map((text) => `- ${text}`).join('\n')}`,
  ].join('\n\n');
}

function section(title: string, value: object | null): string {
  return `## ${title}\n\n${value === null ? 'Nothing.' : `\`\`\`json\n${JSON.stringify(value, null, 2)}\n\`\`\``}`;
}
