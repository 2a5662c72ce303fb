// TLS of bulk sockets: version 1.3, both ends show the self-signed certificate of their host's key, and
// that key is all that counts. Never a session twice.
import { constants } from "node:crypto";
import type { TlsOptions, TLSSocket } from "node:tls";
import type { PeerId } from "@shoal/core/ids";
import { type Certificate, peerIdOfCertificate } from "@shoal/trust/certificate";

/** AES with 128 bits: a tenth less work than 256 for each end, and beyond what anybody can try. */
const ciphers = "TLS_AES_128_GCM_SHA256";

/** Of either end. Authorities say nothing about our keys: `peerOf` is the check. */
export function tlsOptionsOf({ cert, key }: Certificate): TlsOptions {
  return {
    cert,
    key,
    ciphers,
    minVersion: "TLSv1.3",
    secureOptions: constants.SSL_OP_NO_TICKET,
    requestCert: true,
    rejectUnauthorized: false,
  };
}

/** Whose key the other end of an encrypted socket has proven; undefined when it is nobody's. */
export function peerOf(socket: TLSSocket): PeerId | undefined {
  const der = socket.getPeerX509Certificate()?.raw;
  if (der === undefined || socket.isSessionReused()) return undefined;
  try {
    return peerIdOfCertificate(der);
  } catch {
    return undefined;
  }
}
