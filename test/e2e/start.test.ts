// `npm start` opens the product on a copy of the sample workspace and says where.
import { spawn } from 'node:child_process';
import path from 'node:path';
import { describe, expect, inject, it } from 'vitest';

const environment = inject('environment');

describe.skipIf(environment === null)('npm start', () => {
  it('prints an address that answers, and ends on Ctrl-C', async () => {
    if (environment === null) return;
    const script = path.join(environment.root, 'scripts/start.mjs');
    const child = spawn(process.execPath, [script, '--no-open'], { cwd: environment.root });
    const ended = new Promise<number | null>((resolve) => child.once('close', resolve));
    try {
      let output = '';
      const address = await new Promise<string>((resolve, reject) => {
        const read = (data: Buffer): void => {
          output += data.toString();
          const found = /http:\/\/127\.0\.0\.1:\d+\/\?tkn=\S+/.exec(output);
          if (found !== null) resolve(found[0]);
        };
        child.stdout.on('data', read);
        child.stderr.on('data', read);
        void ended.then((code) => reject(new Error(`npm start ended with exit code ${code}:\n${output}`)));
      });
      expect(address).toContain(encodeURI(path.join(environment.root, 'build/sample-workspace')));
      // Other users of this machine do not know the address.
      const { origin, searchParams } = new URL(address);
      expect((await fetch(`${origin}/?folder=${searchParams.get('folder')}`)).status).toBe(403);
      const answered = await fetch(address, { redirect: 'manual' });
      const cookie = answered.headers.getSetCookie().map((set) => set.split(';')[0]);
      const response = await fetch(`${origin}/`, { headers: { cookie: cookie.join('; ') } });
      expect(response.status).toBe(200);
      expect(await response.text()).toContain('vscode-workbench-web-configuration');
      child.kill('SIGINT');
      expect(await ended).toBe(0);
      await expect(fetch(address)).rejects.toThrow();
    } finally {
      child.kill('SIGKILL');
    }
  });
});
