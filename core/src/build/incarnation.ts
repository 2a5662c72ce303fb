// Is the database that answers now the one that answered before? A restart is; a restored backup or
// a promoted standby may lack what was answered to builders, and isn't.

export interface ServerSeen {
  /** Of the running server and the tables in it: another one after every start. */
  readonly server: string;
  /** Made once for a data folder. */
  readonly systemId: string;
  /** Another one after every promotion and every recovery to a point in time. */
  readonly timeline: string;
  /** Bytes of write-ahead log that are durable. */
  readonly logBytes: number;
}

/** What the database itself remembers of the server that it was on; empty texts before the first look. */
export type ServerKnown = Omit<ServerSeen, "logBytes">;

/** What a control plane remembers outside the database. */
export interface Watermark {
  readonly server: string;
  readonly logBytes: number;
}

export type ServerJudgment =
  /** Nothing has changed. */
  | "same"
  /** Nobody has used this database before. */
  | "first"
  /** The same data, and everything that was ever answered is in it. */
  | "restarted"
  /** Something that was answered may be missing. */
  | "restored";

/**
 * Without a watermark of the server life that the database remembers nobody can say that nothing is
 * missing: it counts as restored, which costs the builds under way a new start and nothing else.
 */
export function judgeServer(
  known: ServerKnown,
  seen: ServerSeen,
  watermark: Watermark | null,
): ServerJudgment {
  if (known.server === "") return "first";
  if (known.server === seen.server) return "same";
  const sameData = known.systemId === seen.systemId && known.timeline === seen.timeline;
  const complete = watermark?.server === known.server && watermark.logBytes <= seen.logBytes;
  return sameData && complete ? "restarted" : "restored";
}
