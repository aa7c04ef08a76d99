/**
 * Reads the text exposition format of Prometheus, to the letter of
 * https://prometheus.io/docs/instrumenting/exposition_formats/.
 */

export interface Sample {
  readonly name: string
  readonly labels: { readonly [name: string]: string }
  readonly value: number
}

/** Fails on whatever is neither a sample nor a HELP or TYPE line. */
export const parse = (text: string): ReadonlyArray<Sample> => {
  if (!text.endsWith("\n")) throw new Error("the last line must end")
  return text.slice(0, -1).split("\n").flatMap((line) => {
    if (/^# (HELP|TYPE) [a-zA-Z_:][a-zA-Z0-9_:]* .+$/.test(line)) return []
    const [, name, braced = "", value] =
      /^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_]\w*="(?:[^"\\]|\\[\\"n])*",?)*\})? (\S+)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw new Error(`not a line of the format: ${line}`)
    const labels = [...braced.matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)].map(([, key = "", value = ""]) => [
      key,
      value.replace(/\\(.)/g, (_, escaped: string) => escaped === "n" ? "\n" : escaped)
    ])
    return [{ name, labels: Object.fromEntries(labels) as Sample["labels"], value: numberOf(value) }]
  })
}

const numberOf = (text: string): number => {
  if (text === "+Inf") return Number.POSITIVE_INFINITY
  if (text === "-Inf") return Number.NEGATIVE_INFINITY
  if (text !== "NaN" && Number.isNaN(Number(text))) throw new Error(`not a number: ${text}`)
  return Number(text)
}
