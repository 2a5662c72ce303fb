// Quantities that must not be mixed up. A branded number is a plain number at run time.

declare const unit: unique symbol;

/** Milliseconds: a point on a monotonic clock, or a span, as the name of the value says. */
export type Millis = number & { readonly [unit]?: "millis" };
/** A count of bytes. */
export type Bytes = number & { readonly [unit]?: "bytes" };
/** Position of a chunk in a manifest's chunk list, from 0. */
export type ChunkIndex = number & { readonly [unit]?: "chunk-index" };
/** Position of a piece in the list derived from a manifest, from 0. */
export type PieceIndex = number & { readonly [unit]?: "piece-index" };

export const kibibyte: Bytes = 1024;
export const mebibyte: Bytes = 1024 * 1024;
export const gibibyte: Bytes = 1024 * 1024 * 1024;
export const secondMs: Millis = 1000;
export const minuteMs: Millis = 60_000;
export const hourMs: Millis = 3_600_000;
