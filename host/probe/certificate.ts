import { readFile } from 'node:fs/promises';
import { rootCertificates, type TLSSocket } from 'node:tls';

/** Where Debian, NixOS and Alpine; Fedora; and OpenSSL itself keep the authorities that the host trusts. */
const BUNDLES = [
  '/etc/ssl/certs/ca-certificates.crt',
  '/etc/pki/tls/certs/ca-bundle.crt',
  '/etc/ssl/cert.pem',
];

/** The certificate authorities that this host trusts, as PEM; node's own where the host has no list. */
export async function trustedAuthorities(): Promise<string[]> {
  for (const file of BUNDLES) {
    const bundle = await readFile(file, 'utf8').catch(() => '');
    if (bundle.includes('BEGIN CERTIFICATE')) return [bundle];
  }
  return [...rootCertificates];
}

const REASONS: Readonly<Record<string, string>> = {
  CERT_HAS_EXPIRED: 'it has expired',
  CERT_NOT_YET_VALID: 'it is not valid yet',
  DEPTH_ZERO_SELF_SIGNED_CERT: 'it is signed by itself',
  SELF_SIGNED_CERT_IN_CHAIN: 'its authority is unknown to this host',
  UNABLE_TO_GET_ISSUER_CERT: 'its authority is unknown to this host',
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: 'its authority is unknown to this host',
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: 'its authority is unknown to this host',
  CERT_REVOKED: 'it was revoked',
  ERR_TLS_CERT_ALTNAME_INVALID: 'it is for other names',
};

/** What is wrong with the certificate of a server that was connected to; null when nothing is. */
export function distrustOf(socket: TLSSocket): string | null {
  if (socket.authorized) return null;
  const { subject, issuer, subjectaltname, valid_from, valid_to } = socket.getPeerCertificate();
  // Typed as an Error, but it is the code.
  const code = String(socket.authorizationError);
  const names = [subject?.CN, subjectaltname].flat().filter(Boolean).join(', ');
  const by = [issuer?.CN ?? issuer?.O].flat().filter(Boolean).join(', ');
  return `its certificate is not to be trusted: ${REASONS[code] ?? code} (for ${names}; by ${by}; from ${valid_from} to ${valid_to})`;
}
