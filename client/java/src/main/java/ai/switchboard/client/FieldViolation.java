package ai.switchboard.client;

/**
 * Invalid field of a request.
 *
 * @param field path of the field, such as {@code messages[0].content}
 * @param problem what is wrong, and how to fix it
 */
public record FieldViolation(String field, String problem) {}
