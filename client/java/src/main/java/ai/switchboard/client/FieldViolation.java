package ai.switchboard.client;

/**
 * A field of the request that is wrong.
 *
 * @param field its path, such as {@code messages[0].content}
 * @param problem what is wrong with it, and how to mend it
 */
public record FieldViolation(String field, String problem) {}
