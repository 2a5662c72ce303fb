import { blobStoreSuite } from "./blob-store.suite.ts";
import { MemoryBlobs } from "./memory-blobs.ts";

blobStoreSuite("memory", async () => new MemoryBlobs());
