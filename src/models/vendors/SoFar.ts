/**
 * What is known of an answer's text so far: enough to know it again when a vendor sends all of it once more, with the
 * blanks around it or without, and no more memory for a long text than for a short one.
 */

/** Lengths are in UTF-16 code units. */
export interface SoFar {
  length: number
  /** Blanks before the first character that is none, and after the last one. */
  leading: number
  trailing: number
  /** The beginning, without the leading blanks. */
  start: string
  /** The end, without the trailing blanks. */
  end: string
  /** The last of the trailing blanks. */
  gap: string
}

export const nothing = (): SoFar => ({ length: 0, leading: 0, trailing: 0, start: "", end: "", gap: "" })

/** Whether there is more than blanks in it. */
export const isVisible = (soFar: SoFar): boolean => soFar.start !== ""

export const add = (soFar: SoFar, given: string): void => {
  soFar.length += given.length
  let rest = given
  if (soFar.start === "") {
    rest = given.trimStart()
    soFar.leading += given.length - rest.length
    if (rest === "") return
  }
  if (soFar.start.length < kept) soFar.start = (soFar.start + rest).slice(0, kept)
  const body = rest.trimEnd()
  if (body !== "") {
    soFar.end = (soFar.end + soFar.gap + body).slice(-kept)
    soFar.gap = ""
    soFar.trailing = 0
  }
  if (body.length === rest.length) return
  soFar.trailing += rest.length - body.length
  soFar.gap = (soFar.gap + rest.slice(body.length)).slice(-kept)
}

/** Whether `given` is all of it, but for the blanks around it. */
export const isSame = (soFar: SoFar, given: string): boolean =>
  soFar.length > 0 && given.trim().length === visibleLength(soFar) && begins(given.trim(), soFar)

/**
 * What is new in `given`, which is all of it, or all of it so far. Where it only begins as the text does, it is a version
 * of it that its vendor has tidied up, and nothing in it is new; where it does not even do that, it is a part of it.
 */
export const restOf = (soFar: SoFar, given: string): string => {
  const body = given.trimStart()
  if (!isVisible(soFar)) return given.slice(Math.min(soFar.length, given.length - body.length))
  if (!begins(body, soFar)) return isVersion(soFar, body) ? "" : given
  const rest = body.slice(visibleLength(soFar))
  return rest.slice(Math.min(soFar.trailing, rest.length - rest.trimStart().length))
}

/** Whether the last part of it is `given`, but for the blanks around that. */
export const endsWith = (soFar: SoFar, given: string): boolean => {
  const body = given.trim()
  return body.length <= visibleLength(soFar) && soFar.end.endsWith(body.slice(-kept))
}

// -- internals ---------------------------------------------------------------

/** So much of each end is kept. */
const kept = 64

/** Characters that are no blanks, in which a version of a text begins as that does. */
const openingLength = 8

/** Without the blanks around it. */
const visibleLength = ({ leading, length, trailing }: SoFar): number => length - leading - trailing

const begins = (body: string, soFar: SoFar): boolean =>
  body.startsWith(soFar.start.trimEnd()) && body.slice(0, visibleLength(soFar)).endsWith(soFar.end)

const isVersion = (soFar: SoFar, body: string): boolean => {
  const opening = openingOf(body)
  return opening.length === openingLength && opening === openingOf(soFar.start)
}

const openingOf = (text: string): string => text.slice(0, kept).replace(/\s/g, "").slice(0, openingLength)
