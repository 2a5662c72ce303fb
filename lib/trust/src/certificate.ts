// Self-signed certificates: the form in which TLS carries a host's Ed25519 key. Names and dates in
// them mean nothing to us; the key does, because the handshake proves who holds it.
// @peculiar/x509 needs this polyfill loaded before it.
import "reflect-metadata";
import { X509Certificate, createPrivateKey, webcrypto } from "node:crypto";
import { remoteError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { certificateBytesMax } from "@shoal/core/limits";
import { peerIdOf } from "@shoal/core/peer-id";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import { X509CertificateGenerator } from "@peculiar/x509";
import type { KeyFile } from "./key-file.ts";

/** PEM texts as `node:tls` takes them; `key` is secret. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** RFC 5280, 4.1.2.5: what to write when there is no well-defined end. */
const notAfter = new Date("9999-12-31T23:59:59Z");
const notBefore = new Date("2020-01-01T00:00:00Z");

/** A certificate that carries this key, signed by it. */
export async function createCertificate(key: KeyFile): Promise<Certificate> {
  const { kty, crv, x, d } = key.exportSecretJwk();
  const { subtle } = webcrypto;
  const privateJwk = { kty, crv, x, d };
  const keys = {
    privateKey: await subtle.importKey("jwk", privateJwk, "Ed25519", true, ["sign"]),
    publicKey: await subtle.importKey("jwk", { kty, crv, x }, "Ed25519", true, ["verify"]),
  };
  const certificate = await X509CertificateGenerator.createSelfSigned(
    { name: `CN=${key.peerId}`, notBefore, notAfter, keys, signingAlgorithm: "Ed25519" },
    webcrypto,
  );
  const secret = createPrivateKey({ key: privateJwk, format: "jwk" });
  const pem = secret.export({ type: "pkcs8", format: "pem" });
  return { cert: `${certificate.toString("pem")}\n`, key: pem };
}

/**
 * The peer id of the key in a certificate (DER, as `getPeerX509Certificate().raw` gives it). Only
 * for certificates of a TLS connection, whose handshake proved the key.
 * @throws ShoalError `certificate_invalid` when it isn't a certificate of an Ed25519 key.
 */
export function peerIdOfCertificate(der: Uint8Array): PeerId {
  if (der.length > certificateBytesMax) throw remoteError("certificate_invalid", "too large");
  let jwk;
  try {
    jwk = new X509Certificate(der).publicKey.export({ format: "jwk" });
  } catch {
    throw remoteError("certificate_invalid", "not a certificate");
  }
  if (jwk.kty !== "OKP" || jwk.crv !== "Ed25519" || jwk.x === undefined) {
    throw remoteError("certificate_invalid", "not of an Ed25519 key");
  }
  return peerIdOf(decodeBase64Url(jwk.x));
}
