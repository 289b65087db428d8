package ai.switchboard.client;

/** Where a failure comes from. There may be more in time. */
public enum ErrorKind {
  /** The options are wrong: an address or a certificate that cannot be read. */
  OPTIONS,
  /** Switchboard could not be reached; nothing was asked. */
  CONNECT,
  /** The connection broke during the call; what was asked may have been done. */
  TRANSPORT,
  /** Switchboard, or something before it, said no: see the reason. */
  STATUS,
  /** The deadline passed here before Switchboard answered. */
  DEADLINE,
  /** The call was cancelled here. */
  CANCELLED,
  /** A stream ended without its metadata: the answer is not whole. */
  INCOMPLETE,
  /** A stream started over, and its reader could not. */
  RESTARTED
}
