/**
 * Java client for Switchboard, a gRPC gateway for Amazon Bedrock. Callers name a task; Switchboard chooses
 * the model, falls back to another model if one fails, and returns the route that the call took.
 *
 * <p>Requests and replies are the generated types of the contract, in {@code ai.switchboard.v1}. Start with
 * {@link ai.switchboard.client.Switchboard}.
 */
package ai.switchboard.client;
