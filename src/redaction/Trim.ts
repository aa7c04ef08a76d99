/**
 * `text` without the characters of `set` at its end.
 *
 * A regular expression for it takes quadratic time where such a run stands inside of the text.
 */
export const end = (text: string, set: string): string => {
  let length = text.length
  while (length > 0 && set.includes(text.charAt(length - 1))) length--
  return text.slice(0, length)
}
