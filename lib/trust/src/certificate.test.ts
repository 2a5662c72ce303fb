import { X509Certificate } from "node:crypto";
import { describe, expect, test } from "vitest";
import { createCertificate, peerIdOfCertificate } from "./certificate.ts";
import { createKey } from "./key-file.ts";
import { codeOf } from "./signers.test-kit.ts";

describe("certificate", () => {
  test("carries the key, is signed by it, and doesn't end", async () => {
    const key = createKey();
    const { cert } = await createCertificate(key);
    const certificate = new X509Certificate(cert);
    expect(peerIdOfCertificate(certificate.raw)).toBe(key.peerId);
    expect(certificate.verify(certificate.publicKey)).toBe(true);
    expect(certificate.validToDate.getUTCFullYear()).toBe(9999);
  });

  /** Self-signed P-256, made with openssl for this test. */
  const p256 =
    "MIIBbDCCAROgAwIBAgIUARKSA+hm7wM1x7eC2kpfPJD8EM4wCgYIKoZIzj0EAwIwDDEKMAgGA1UEAwwBeDAeFw0yNjExMjEwMjIxMDRaFw0yNjExMjIwMjIxMDRaMAwxCjAIBgNVBAMMAXgwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAARYaDiw2ga3LQCypi6fZAinAOXmpyMFVxQ4wODTIEQtj/ZnVt2lm2vhsRA/kME2eMlnCzBbI/1ESOskwRJAq94Ro1MwUTAdBgNVHQ4EFgQUcoVUUiHv9eN4gZGwfBROXysLHxMwHwYDVR0jBBgwFoAUcoVUUiHv9eN4gZGwfBROXysLHxMwDwYDVR0TAQH/BAUwAwEB/zAKBggqhkjOPQQDAgNHADBEAiADY5R+4eYwbW78ZSOGgGHNptsGKMH6YN5Yxwpre254fgIgaEnXIHF/3/Ft3loid0UxqebILAedu9SrF74X+XH1gyM=";
  test.for([
    ["of another kind of key", Uint8Array.fromBase64(p256)],
    ["that is none", new TextEncoder().encode("hello")],
    ["that is empty", new Uint8Array()],
    ["that is too large", new Uint8Array(20_000)],
  ] as const)("%s is refused", async ([, der]) => {
    expect(await codeOf(() => peerIdOfCertificate(der))).toBe("certificate_invalid");
  });
});
