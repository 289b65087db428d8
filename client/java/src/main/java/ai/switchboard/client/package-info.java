/**
 * The Java client for Switchboard, a gRPC gateway in front of Amazon Bedrock. You name a kind of work; Switchboard chooses
 * the model, falls back when one fails, and says what it did.
 *
 * <p>The layer is thin: requests and replies are the generated types of the contract, in {@code ai.switchboard.v1}. Begin
 * with {@link ai.switchboard.client.Switchboard}.
 */
package ai.switchboard.client;
