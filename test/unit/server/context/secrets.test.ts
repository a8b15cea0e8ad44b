import { describe, expect, it } from 'vitest';
import { looksBinary } from '../../../../server/context/binary';
import { isSecretFile } from '../../../../server/context/secrets';

describe('isSecretFile', () => {
  it.each([
    '/w/.env',
    '/w/.env.local',
    '/w/prod.env',
    '/w/server.pem',
    '/w/tls.key',
    '/home/u/.ssh/config',
    '/home/u/.ssh/id_ed25519',
    '/w/id_rsa',
    '/home/u/.aws/credentials',
    '/w/credentials.json',
    '/w/secrets.yaml',
    '/w/.npmrc',
    '/w/.netrc',
    '/w/.pypirc',
    '/w/.git-credentials',
    '/w/store.p12',
    '/w/vault.kdbx',
    '/w/terraform.tfstate',
    '/w/service-account-prod.json',
    '/w/%2Eenv',
  ])('%s holds secrets', (path) => expect(isSecretFile(`file://${path}`)).toBe(true));

  it.each([
    '/w/main.py',
    '/w/environment.ts',
    '/w/.env.example',
    '/w/id_rsa.pub',
    '/w/keyboard.ts',
    '/w/secretsManager.ts',
    '/w/key.ts',
    '/w/package.json',
  ])('%s does not', (path) => expect(isSecretFile(`file://${path}`)).toBe(false));

  it('knows other schemes', () => {
    expect(isSecretFile('vscode-remote://ssh/w/.env?x=1')).toBe(true);
    expect(isSecretFile('untitled:Untitled-1')).toBe(false);
  });
});

describe('looksBinary', () => {
  it('tells NUL and undecodable bytes', () => {
    expect(looksBinary('a\0b')).toBe(true);
    expect(looksBinary('\uFFFD'.repeat(20))).toBe(true);
    expect(looksBinary('plain text, a single \uFFFD in it')).toBe(false);
    expect(looksBinary('')).toBe(false);
  });
});
