package ai.switchboard.client;

/** Origin of a failure. Later versions can have more kinds. */
public enum ErrorKind {
  /** The options are invalid, for example the address or a certificate. */
  OPTIONS,
  /** No connection to Switchboard could be opened. The call was not sent. */
  CONNECT,
  /** The connection broke during the call. The server may have processed the call. */
  TRANSPORT,
  /** Switchboard, or a proxy, returned an error: see the reason. */
  STATUS,
  /** The deadline passed on the client before Switchboard answered. */
  DEADLINE,
  /** The client cancelled the call. */
  CANCELLED,
  /** The stream ended without metadata: the answer is incomplete. */
  INCOMPLETE,
  /** Another model started over, and the text that was already returned cannot be taken back. */
  RESTARTED
}
