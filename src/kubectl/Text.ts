/**
 * What the text of an argument list tells before anything is read as kubectl reads it.
 *
 * `refusal` finds lists that nobody can mean: those written for a shell that
 * does not run here, and those that do not show what they say. `oddity` finds
 * what is possible but better seen by a person.
 */

export interface Refusal {
  readonly because: string
  /** What may have been meant, as a command without `kubectl`. */
  readonly instead: string | undefined
}

/** Bytes of a whole argument list; Linux takes no longer argument. */
export const longest = 128 * 1024

export const refusal = (args: ReadonlyArray<string>): Refusal | undefined => {
  if (args.length === 0) return { because: "there is no command", instead: undefined }
  if (args.reduce((bytes, arg) => bytes + Buffer.byteLength(arg) + 1, 0) > longest) {
    return { because: `the command is longer than ${longest} bytes`, instead: undefined }
  }
  for (const arg of args) {
    const hidden = invisible.exec(arg)?.[0]
    if (hidden !== undefined) {
      return { because: `an argument holds ${codePoint(hidden)}, which cannot be seen`, instead: undefined }
    }
  }
  if (args[0] === "kubectl") {
    return {
      because: "the command begins with kubectl, which is the program and none of its arguments",
      instead: args.slice(1).join(" ") || undefined
    }
  }
  return shellWord(args)
}

/** Why this text cannot be given on standard input: it does not show what it says. */
export const refusalOfInput = (stdin: string): Refusal | undefined => {
  const hidden = invisible.exec(stdin.replaceAll("\r\n", "\n"))
  if (hidden === null) return undefined
  const line = stdin.slice(0, hidden.index).split("\n").length
  return {
    because: `line ${line} of standard input holds ${codePoint(hidden[0])}, which cannot be seen`,
    instead: undefined
  }
}

/** Without a leading `kubectl`, which a model likes to write. */
export const withoutProgram = (args: ReadonlyArray<string>): ReadonlyArray<string> =>
  args[0] === "kubectl" ? args.slice(1) : args

/** Why a person should look at this operand or value, to be read after it; undefined for ordinary ones. */
export const oddity = (text: string): string | undefined => {
  if (/[;|&<>$`\n\r\t]/.test(text)) {
    return "holds characters that mean something to a shell; no shell runs this, so they are passed on as they are"
  }
  if (!/^[\x20-\x7e]*$/.test(text)) return "holds letters that look like others"
  return undefined
}

/** An argument for a message: short, and on one line. */
export const shown = (text: string): string => {
  const line = JSON.stringify(text).slice(1, -1)
  return line.length > 60 ? `${line.slice(0, 57)}...` : line
}

// -- internals ---------------------------------------------------------------

/**
 * Control characters but newline and tab; what has no width, turns the direction of writing or fills no more than
 * a space; spaces that are not the space; halves of a surrogate pair.
 */
const invisible =
  /[\u0000-\u0008\u000b-\u001f\u007f-\u009f]|\p{Cf}|\p{Cs}|\p{Default_Ignorable_Code_Point}|\p{Zl}|\p{Zp}|(?! )\p{Zs}/u

const codePoint = (character: string): string =>
  `U+${(character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, "0")}`

const shellWord = (args: ReadonlyArray<string>): Refusal | undefined => {
  const dashes = args.indexOf("--")
  for (const [index, arg] of args.entries()) {
    if (operator.test(arg)) {
      // `exec POD -- find … -exec … ;` needs it.
      if (arg === ";" && dashes >= 0 && dashes < index) continue
      return {
        because: `${shown(arg)} means something to a shell only, and no shell runs this: ` +
          "it takes one command at a time, without pipes and redirections",
        instead: args.slice(0, index).join(" ") || undefined
      }
    }
    if (/^<[^<>]*>$/.test(arg)) {
      return { because: `${shown(arg)} is a placeholder that was not filled in`, instead: undefined }
    }
    if (/^\$\([^]*\)$|^`[^]*`$|^\d*[<>]/.test(arg)) {
      return {
        because: `${shown(arg)} means something to a shell only, and no shell runs this: the value itself is needed`,
        instead: args.slice(0, index).join(" ") || undefined
      }
    }
  }
  return undefined
}

/** `&&` `||` `|` `|&` `;` `;;` `&`, and redirections with their target in the next argument or none: `>` `2>&1` `&>`. */
const operator = /^(?:&&|\|\|?|\|&|;;?|&|\d*(?:>>?|<{1,3}|<>|>\|)(?:&[\d-]?)?|&>>?)$/
