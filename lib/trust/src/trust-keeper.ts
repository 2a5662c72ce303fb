// What a process believes in, while it runs: the newest trust document and everybody who is revoked.
// Taken from the file of its configuration and from whoever brings something newer, never given up for
// something older, and kept on disk, so that a restart doesn't forget it either.
import { trustState, type TrustState } from "@shoal/api/trust";
import { digest, toHex } from "@shoal/core/digest";
import { ShoalError } from "@shoal/core/error";
import type { PeerId } from "@shoal/core/ids";
import { revocationListsMax } from "@shoal/core/limits";
import { decodeBase64Url } from "@shoal/core/trust/base64";
import type { Envelope } from "@shoal/core/trust/dsse";
import { z } from "zod";
import {
  neededLists,
  requireNewer,
  verifyRevocations,
  type RevocationList,
} from "./revocations.ts";
import { followChain, type KnownTrust } from "./trust-chain.ts";
import { requireUnexpired, type TrustDocument } from "./trust-document.ts";
import { readTrustChain } from "./trust-file.ts";

const stateFile = trustState.extend({ format: z.literal("shoal.trust-state/v1") });

export interface TrustKeeperDeps {
  /** Replaced atomically; what it has survives the process. */
  readonly file: {
    read(): Promise<Uint8Array | undefined>;
    write(content: string): Promise<void>;
  };
  readonly now: () => number;
  /** Whose revocations count; null before that is known. */
  readonly region: () => string | null;
  readonly log: {
    info(facts: object, message: string): void;
    warn(facts: object, message: string): void;
  };
}

export interface TrustKeeperConfig {
  readonly trustFile: string;
  /** Raw root key that the first document is signed with, base64url. */
  readonly rootPublicKey: string;
}

/**
 * The time by which to judge what is on one's own disk: its dates were judged when it was taken. So a reboot
 * after the trust document has ended changes nothing in what a process does, nor in what it refuses.
 */
export const undatedMs = 0;

export class TrustKeeper {
  readonly #deps: TrustKeeperDeps;
  #known: KnownTrust;
  #lists: readonly RevocationList[] = [];
  #revoked: ReadonlyMap<PeerId, number> = new Map();
  #edition = "";
  #savedEdition = "";
  #fileComplaint = "";

  private constructor(deps: TrustKeeperDeps, known: KnownTrust) {
    this.#deps = deps;
    this.#known = known;
    this.#changed();
  }

  /**
   * Starts from what an earlier life knew and the configured file, whichever is newer. One of the two
   * may be unusable. Throws what is wrong with the file when there is nothing else, or when it has expired.
   */
  static async open(deps: TrustKeeperDeps, config: TrustKeeperConfig): Promise<TrustKeeper> {
    const pinned = decodeBase64Url(config.rootPublicKey);
    const kept = await readKept(deps, pinned);
    if (kept === null) {
      const known = followChain({ pinned }, await readTrustChain(config.trustFile));
      requireUnexpired(known.document, deps.now());
      const keeper = new TrustKeeper(deps, known);
      await keeper.#save();
      return keeper;
    }
    const keeper = new TrustKeeper(deps, kept.known);
    keeper.#savedEdition = keeper.#edition;
    keeper.#takeLists(kept.revocations, undatedMs);
    await keeper.takeFile(config.trustFile);
    try {
      requireUnexpired(keeper.document(), deps.now());
    } catch (error) {
      deps.log.warn({ error }, "nothing new is believed until there is a newer trust document");
    }
    return keeper;
  }

  document(): TrustDocument {
    return this.#known.document;
  }

  readonly isRevoked = (peerId: PeerId): boolean =>
    (this.#revoked.get(peerId) ?? 0) > this.#deps.now();

  /** Changes with anything in `state`. */
  edition(): string {
    return this.#edition;
  }

  /** All that somebody else needs to come to believe the same. */
  state(): TrustState {
    return {
      documents: [...this.#known.chain],
      revocations: this.#lists.map(({ envelope }) => envelope),
    };
  }

  /** Takes what is newer in what somebody brought; refused parts are logged. Answers whether any was. */
  async take(state: TrustState): Promise<boolean> {
    const before = this.#edition;
    this.#attempt("trust document", () => this.#advance(state.documents));
    this.#takeLists(state.revocations, this.#deps.now());
    if (this.#edition !== this.#savedEdition) await this.#save();
    return this.#edition !== before;
  }

  /**
   * Takes newer documents. Answers whether there was one.
   * @throws ShoalError of `followChain`, or `trust_document_expired`.
   */
  async publish(documents: readonly Envelope[]): Promise<boolean> {
    const isNewer = this.#advance(documents);
    if (this.#edition !== this.#savedEdition) await this.#save();
    return isNewer;
  }

  /** Looks at the configured file again; one that is older or can't be read changes nothing. */
  async takeFile(path: string): Promise<boolean> {
    const before = this.#edition;
    try {
      await this.publish(await readTrustChain(path));
    } catch (error) {
      // A file that nobody has replaced since newer documents came is as it should be; it is looked at
      // every few seconds, and what else is wrong with it is said once.
      const complaint = error instanceof Error ? error.message : String(error);
      if (!isCode(error, "trust_document_rolled_back") && complaint !== this.#fileComplaint)
        this.#refused("trust file", error);
      this.#fileComplaint = complaint;
    }
    return this.#edition !== before;
  }

  #advance(documents: readonly Envelope[]): boolean {
    const known = followChain(this.#known, documents);
    const isNewer = known.document.version > this.#known.document.version;
    if (isNewer) requireUnexpired(known.document, this.#deps.now());
    this.#known = known;
    this.#changed();
    if (!isNewer) return false;
    const { version, expires } = known.document;
    this.#deps.log.info({ version, expires }, "took a newer trust document");
    return true;
  }

  #takeLists(envelopes: readonly Envelope[], nowMs: number): void {
    const region = this.#deps.region();
    if (region === null) return;
    const lists = [...this.#lists];
    // The oldest first: a list that is older than one that came with it is no fault.
    for (const [index, envelope] of envelopes.toReversed().entries()) {
      if (lists.some((known) => known.envelope.payload === envelope.payload)) continue;
      this.#attempt("list of revocations", () => {
        const list = verifyRevocations(envelope, this.document(), { nowMs, region });
        if (index === envelopes.length - 1) requireNewer(list, this.#lists[0]?.list);
        lists.push({ list, envelope });
      });
    }
    this.#lists = neededLists(lists, this.#deps.now(), revocationListsMax);
    this.#changed();
  }

  #attempt(what: string, work: () => unknown): void {
    try {
      work();
    } catch (error) {
      this.#refused(what, error);
    }
  }

  #refused(what: string, error: unknown): void {
    if (!(error instanceof ShoalError)) throw error;
    this.#deps.log.warn({ code: error.code, reason: error.message }, `refused a ${what}`);
  }

  #changed(): void {
    const revoked = new Map<PeerId, number>();
    for (const { list } of this.#lists) {
      for (const { peerId, until } of list.peers) {
        revoked.set(peerId, Math.max(revoked.get(peerId) ?? 0, Date.parse(until)));
      }
    }
    this.#revoked = revoked;
    this.#edition = editionOf(this.state());
  }

  /** A full disk costs the memory of it after a restart, and doesn't keep us from acting on it now. */
  async #save(): Promise<void> {
    const edition = this.#edition;
    try {
      const content = { format: "shoal.trust-state/v1", ...this.state() };
      await this.#deps.file.write(JSON.stringify(content));
      this.#savedEdition = edition;
    } catch (error) {
      this.#deps.log.warn({ error }, "the newest trust can't be saved; trying again with the next");
    }
  }
}

/** What tells two trust states apart. */
export function editionOf(state: TrustState): string {
  return toHex(digest(new TextEncoder().encode(JSON.stringify(state)))).slice(0, 32);
}

async function readKept(
  { file, log }: TrustKeeperDeps,
  pinned: Uint8Array,
): Promise<{ readonly known: KnownTrust; readonly revocations: readonly Envelope[] } | null> {
  try {
    const bytes = await file.read();
    if (bytes === undefined) return null;
    const { documents, revocations } = stateFile.parse(JSON.parse(new TextDecoder().decode(bytes)));
    return { known: followChain({ pinned }, documents), revocations };
  } catch (error) {
    log.warn({ error }, "the trust on disk is of no use; starting from the configured file");
    return null;
  }
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof ShoalError && error.code === code;
}
