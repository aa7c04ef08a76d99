/**
 * Looking into vendors' JSON without trusting its shape.
 *
 * For the inner loop, where a schema costs more than the event it decodes.
 */

export interface JsonObject {
  readonly [key: string]: unknown
}

export const isRecord = (value: unknown): value is JsonObject =>
  typeof value === "object" && value !== null && !Array.isArray(value)

/** Undefined when `text` is not JSON. */
export const parse = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** A string that is not empty, an object, a whole number that is not negative; undefined for anything else. */
export const string = (value: unknown): string | undefined =>
  typeof value === "string" && value !== "" ? value : undefined
export const object = (value: unknown): JsonObject | undefined => isRecord(value) ? value : undefined
export const count = (value: unknown): number | undefined =>
  typeof value === "number" && Number.isSafeInteger(value) && value >= 0 ? value : undefined
export const array = (value: unknown): ReadonlyArray<unknown> => Array.isArray(value) ? value : []
