/**
 * Metadata that a vibectl client sends of itself with every call.
 */

/** The client's package version. */
export const clientVersionKey = "x-vibectl-client-version"

/** The wire extensions that it understands, with commas between. */
export const featuresKey = "x-vibectl-features"
