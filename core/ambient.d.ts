// The list of what core may touch beside the language itself: two text codecs and two things of
// node:crypto, which only src/trust/keys.ts may import. Anything else with I/O, a clock or
// randomness is a type error in this package.
declare class TextEncoder {
  encode(text: string): Uint8Array<ArrayBuffer>;
}
declare class TextDecoder {
  constructor(
    label?: "utf-8",
    options?: { readonly fatal?: boolean; readonly ignoreBOM?: boolean },
  );
  decode(bytes: Uint8Array): string;
}
declare module "node:crypto" {
  export interface KeyObject {
    readonly asymmetricKeyType?: string;
    export(options: { readonly format: "jwk" }): Record<string, unknown>;
  }
  export function createPublicKey(key: {
    readonly key: Record<string, unknown>;
    readonly format: "jwk";
  }): KeyObject;
  export function createPrivateKey(key: {
    readonly key: Record<string, unknown>;
    readonly format: "jwk";
  }): KeyObject;
  export function sign(algorithm: null, data: Uint8Array, key: KeyObject): Uint8Array;
  export function verify(
    algorithm: null,
    data: Uint8Array,
    key: KeyObject,
    signature: Uint8Array,
  ): boolean;
}
