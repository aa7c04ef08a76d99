/**
 * Texts in files, to be read by the redactor: `=== name` begins a case, `⟦…⟧`
 * marks a planted secret, and `¦` is left out: it keeps the halves of what
 * looks like a real key apart, so that nobody's scanner takes the file for a leak.
 */
import * as Fs from "node:fs"

export interface Case {
  readonly name: string
  readonly text: string
  readonly secrets: ReadonlyArray<string>
}

/** The cases of all files of `folder` below `test/corpora`. */
export const read = (folder: string): ReadonlyArray<Case> => {
  const directory = new URL(`../corpora/${folder}/`, import.meta.url)
  return Fs.readdirSync(directory).filter((file) => file.endsWith(".txt")).sort().flatMap((file) =>
    Fs.readFileSync(new URL(file, directory), "utf8").split(/^=== /m).slice(1).map((part) => {
      const line = part.indexOf("\n")
      const marked = part.slice(line + 1, -1).replaceAll("¦", "")
      return {
        name: `${file.slice(0, -4)}: ${part.slice(0, line)}`,
        text: marked.replace(/[⟦⟧]/g, ""),
        secrets: [...marked.matchAll(/⟦([^⟧]*)⟧/g)].map((match) => match[1]!)
      }
    })
  )
}
