/** Files whose content is never read into a prompt and never completed, told by their names. */

const NAMES = [
  /^\.env(?:\..+)?$/,
  /\.env$/,
  /^\.envrc$/,
  /^\.?(?:npmrc|yarnrc|pypirc|netrc|_netrc|pgpass|my\.cnf|htpasswd|git-credentials|dockercfg|boto|s3cfg|vault-token)$/,
  /^_netrc$/,
  /^id_(?:rsa|dsa|ecdsa|ed25519)(?:_sk)?(?:\..+)?$/,
  /^(?:credentials|secrets?|passwords?)(?:\.(?:json|ya?ml|toml|ini|txt|xml|properties|env|csv))?$/,
  /^(?:service[-_]?account|client[-_]?secret|gcloud|application_default_credentials).*\.json$/,
  /\.(?:pem|key|p12|pfx|pkcs12|p8|jks|keystore|kdbx?|ppk|asc|gpg|ovpn|kubeconfig|tfstate|tfvars|mobileprovision)$/,
  /\.tfstate\.backup$/,
  /^kubeconfig$/,
  /^authorized_keys$/,
];
const FOLDERS = /[\\/]\.(?:ssh|aws|gnupg|azure|kube|docker)[\\/]/;
/** Public halves and templates hold nothing secret. */
const HARMLESS = /(?:\.pub|^\.env\.(?:example|sample|template|dist))$/;

export function isSecretFile(uri: string): boolean {
  const path = pathOf(uri);
  const name = path.slice(Math.max(path.lastIndexOf('/'), path.lastIndexOf('\\')) + 1).toLowerCase();
  if (HARMLESS.test(name)) return false;
  return NAMES.some((pattern) => pattern.test(name)) || FOLDERS.test(path.toLowerCase());
}

function pathOf(uri: string): string {
  const path = uri.replace(/[?#].*$/, '');
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}
