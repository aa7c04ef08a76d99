/**
 * How many columns of a terminal a text takes.
 *
 * What a person sees as one character stays in one piece: a flag, a family of
 * emoji joined by zero-width joiners, a letter with its combining marks.
 */

/** Columns that `text` takes; it has no newlines and no control characters. */
export const of = (text: string): number => {
  if (plain.test(text)) return text.length
  let width = 0
  for (const character of characters(text)) width += ofCharacter(character)
  return width
}

/** The longest beginning of `text` within `width` columns, but never less than one character, and the rest. */
export const split = (text: string, width: number): readonly [string, string] => {
  if (plain.test(text)) return [text.slice(0, Math.max(1, width)), text.slice(Math.max(1, width))]
  let [end, used] = [0, 0]
  for (const character of characters(text)) {
    used += ofCharacter(character)
    if (used > width && end > 0) break
    end += character.length
  }
  return [text.slice(0, end), text.slice(end)]
}

/** `text` as it is where it fits, else its beginning and an ellipsis. */
export const shorten = (text: string, width: number): string => {
  if (of(text) <= width) return text
  return width < 2 ? "…".slice(0, Math.max(0, width)) : `${split(text, width - 1)[0]}…`
}

/** `text` and the blanks that it lacks of `width` columns. */
export const pad = (text: string, width: number): string => text + " ".repeat(Math.max(0, width - of(text)))

// -- internals ---------------------------------------------------------------

/** Text of which every code unit takes one column. */
const plain = /^[\u0020-\u007e\u00a0-\u02ff]*$/

const segmenter = new Intl.Segmenter("en", { granularity: "grapheme" })

/** What a person sees as characters (https://unicode.org/reports/tr29). */
function* characters(text: string): Iterable<string> {
  for (const { segment } of segmenter.segment(text)) yield segment
}

const ofCharacter = (character: string): number => {
  // With the selector for emoji, or several of them joined: drawn as one picture.
  if (picture.test(character)) return 2
  let width = 0
  for (const point of character) width += invisible.test(point) ? 0 : wide.test(point) ? 2 : 1
  return width
}

const picture =
  /^\p{Emoji}(?:\ufe0f|\u20e3)|^\p{Extended_Pictographic}.*\u200d|^\p{Emoji_Modifier_Base}\p{Emoji_Modifier}/u

/** The soft hyphen is drawn by terminals. The second halves of Korean syllables are drawn into the first. */
const invisible = /^(?!\u00ad)[\p{Mark}\p{Default_Ignorable_Code_Point}\p{Format}\u1160-\u11ff\ud7b0-\ud7ff]$/u

/** East_Asian_Width W and F (https://unicode.org/reports/tr11); the halves of flags count one each. */
const wide =
  /^(?![\u{1f1e6}-\u{1f1ff}])[\p{Emoji_Presentation}\u1100-\u115f\u2329\u232a\u2630-\u2637\u268a-\u268f\u2e80-\u303e\u3041-\u3247\u3250-\ua4cf\ua960-\ua97c\uac00-\ud7a3\uf900-\ufaff\ufe10-\ufe19\ufe30-\ufe6f\uff01-\uff60\uffe0-\uffe6\u{16fe0}-\u{18dff}\u{1aff0}-\u{1b2ff}\u{1d300}-\u{1d376}\u{1f200}-\u{1f265}\u{20000}-\u{3fffd}]$/u
