// Where a host stands in the order in which hosts switch: a number in [0, 1) from its id and the
// goal's salt. A wave of share s opens for the hosts below s; another salt gives another order.
import { digest } from "../digest.ts";
import type { HostId } from "../ids.ts";

/** The first 53 bits of BLAKE3(salt, NUL, host id), over 2^53. */
export function hostShare(salt: string, hostId: HostId): number {
  const hash = digest(new TextEncoder().encode(`${salt}\0${hostId}`));
  const view = new DataView(hash.buffer, hash.byteOffset, hash.byteLength);
  const high = view.getUint32(0);
  const low = view.getUint32(4) >>> 11;
  return (high * 2 ** 21 + low) / 2 ** 53;
}
