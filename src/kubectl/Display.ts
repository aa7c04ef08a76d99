/**
 * A kubectl command as a person would type it.
 */

/** With quotes where a POSIX shell needs them, so that it can be copied. */
export const command = (args: ReadonlyArray<string>): string => ["kubectl", ...args.map(word)].join(" ")

// -- internals ---------------------------------------------------------------

const word = (text: string): string => /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
