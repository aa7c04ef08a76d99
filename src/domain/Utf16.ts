/**
 * JavaScript's strings may hold half of a surrogate pair; UTF-8, and with it every protobuf message, may not.
 */

/** With U+FFFD for each half that stands alone. */
export const wellFormed = (text: string): string => surrogate.test(text) ? text.replace(halves, "\ufffd") : text

// -- internals ---------------------------------------------------------------

/** Most texts have none, and are not copied. */
const surrogate = /[\ud800-\udfff]/

const halves = /\p{Surrogate}/gu
