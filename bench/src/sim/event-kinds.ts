// What can happen in a world. Fields of an event come after its kind; the first is the host whose it is.

export const kinds = {
  segment: 0,
  chunk: 1,
  stored: 2,
  message: 3,
  timer: 4,
  call: 5,
  request: 6,
  cancel: 7,
  reject: 8,
  /** Few pieces: the others are messages. */
  haves: 9,
  /** A reject that has come through behind the chunks before it. */
  rejected: 10,
  /** Of a dial: it arrives, it is answered, it comes to nothing. */
  knock: 11,
  welcome: 12,
  unwelcome: 13,
  /** The other end of a link was closed, or is dead. */
  lost: 14,
  /** What is said to the seeders' table of members, and its answer. */
  announce: 15,
  departed: 16,
  introduced: 17,
} as const;
