/**
 * Token counts for answers whose provider reports none.
 *
 * An estimate, and always flagged as one: about four characters to a token,
 * OpenAI's own rule of thumb for English text.
 * Source: https://help.openai.com/en/articles/4936856
 */
const charactersPerToken = 4

/** `characters` in UTF-16 code units. */
export const tokens = (characters: number): number => Math.ceil(characters / charactersPerToken)
