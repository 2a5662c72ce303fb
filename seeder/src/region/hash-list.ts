// Lists of chunk hashes as the protocol has them: 32 bytes each, one after the other.
import { digestBytes } from "@shoal/core/digest";

/** Each of a list of concatenated hashes, as a view. */
export function* eachHash(hashes: Uint8Array): Generator<Uint8Array> {
  for (let offset = 0; offset < hashes.length; offset += digestBytes)
    yield hashes.subarray(offset, offset + digestBytes);
}
