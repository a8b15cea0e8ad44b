/** The telemetry page: static, styled by the theme, run by one script that a nonce allows. Pure. */

export interface PageParts {
  readonly cspSource: string;
  readonly nonce: string;
  readonly scriptUri: string;
  readonly styleUri: string;
}

const ORIGINS = [
  { id: 'draft', name: 'Draft', title: 'Drafted and accepted by the target' },
  { id: 'correction', name: 'Correction', title: 'The target’s own token in place of a rejected draft token' },
  { id: 'bonus', name: 'Bonus', title: 'The target’s own token after a wholly accepted draft' },
  { id: 'plain', name: 'Plain', title: 'Decoded by the target without a draft' },
];

export function telemetryPage({ cspSource, nonce, scriptUri, styleUri }: PageParts): string {
  const policy = `default-src 'none'; style-src ${cspSource}; script-src 'nonce-${nonce}'`;
  const figure = (id: string, name: string, title: string): string =>
    `<div class="figure" title="${title}"><dt>${name}</dt><dd id="${id}">–</dd></div>`;
  const legend = ORIGINS.map(
    ({ id, name, title }) => `<li title="${title}"><span class="token ${id}" aria-hidden="true">ab</span> ${name}</li>`,
  ).join('');
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="${policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="stylesheet" href="${styleUri}">
<title>SpecDiff Telemetry</title>
</head>
<body>
<p id="status" role="status" aria-live="polite">Nothing has been generated yet.</p>
<section aria-labelledby="now-title">
<h2 id="now-title">Last generation</h2>
<dl>
${figure('tau', 'τ', 'Tokens emitted per target verification pass')}
${figure('acceptance', 'Draft acceptance', 'Accepted drafted tokens ÷ drafted tokens')}
${figure('tokens-per-second', 'Tokens/s', 'Tokens ÷ (draft + verification time)')}
${figure('plain-tokens-per-second', 'Plain tokens/s', 'Plain decoding with the same target, from the measured time of a one-row pass')}
${figure('speedup', 'Speed-up', 'Tokens/s ÷ plain tokens/s')}
</dl>
</section>
<section aria-labelledby="text-title">
<h2 id="text-title">Text by origin</h2>
<ul class="legend">${legend}</ul>
<div id="tokens" role="region" aria-labelledby="text-title" tabindex="0"></div>
</section>
<section aria-labelledby="passes-title">
<h2 id="passes-title">Accepted per verification</h2>
<div id="passes" role="img" tabindex="0" aria-label="No verification passes yet"></div>
</section>
<section aria-labelledby="time-title">
<h2 id="time-title">Where the time went</h2>
<div id="time" role="img" aria-label="No time measured yet"></div>
<dl>
${figure('prefill-ms', 'Prefill', 'Evaluating the prompt')}
${figure('draft-ms', 'Draft', 'Proposing tokens')}
${figure('verify-ms', 'Verification', 'Target passes')}
</dl>
</section>
<section aria-labelledby="session-title">
<h2 id="session-title">This session</h2>
<dl>
${figure('session-tau', 'τ', 'Tokens emitted per target verification pass')}
${figure('session-acceptance', 'Draft acceptance', 'Accepted drafted tokens ÷ drafted tokens')}
${figure('session-tokens-per-second', 'Tokens/s', 'Tokens ÷ (draft + verification time)')}
${figure('session-speedup', 'Speed-up', 'Against plain decoding')}
${figure('session-tokens', 'Tokens', 'Tokens emitted by all generations')}
${figure('session-passes', 'Verifications', 'Target verification passes')}
${figure('suggestion-acceptance', 'Suggestions you accepted', 'Suggestions accepted by you ÷ suggestions shown; not the draft acceptance')}
</dl>
</section>
<div class="actions">
<button id="reset" type="button">Reset</button>
<button id="export" type="button">Export JSON…</button>
</div>
<script nonce="${nonce}" src="${scriptUri}"></script>
</body>
</html>`;
}
