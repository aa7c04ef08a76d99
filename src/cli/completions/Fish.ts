/**
 * The completion script of fish.
 */
import { listing, type Offer, type Place } from "./Words.js"

export const fish = (places: ReadonlyArray<Place>): string => {
  const commands = places.flatMap(({ commands, path }) => commands.map(({ name }) => quoted(`${path} ${name}`)))
  const taking = places.flatMap(({ options, path }) =>
    options.flatMap(({ names, value }) => value === undefined ? [] : names.map((name) => quoted(`${path} ${name}`)))
  )
  return `# Completions of vibectl for fish: vibectl completions fish | source
function __vibectl_at --description 'The command that the words so far name, and how many arguments it has'
    set -l at vibectl
    set -l position 0
    set -l skip 0
    for word in (commandline -opc)[2..-1]
        if test $skip = 1
            set skip 0
            continue
        end
        switch "$at $word"
            case ${commands.join(" ")}
                set at "$at $word"
            case ${taking.join(" ")}
                set skip 1
            case '*'
                string match -q -- '-*' $word; or set position (math $position + 1)
        end
    end
    printf '%s\\n' $at $position
end
function __vibectl_is --argument-names path position
    set -l found (__vibectl_at)
    test "$found[1]" = "$path"; or return 1
    test -z "$position"; or test "$found[2]" = "$position"
end
complete -c vibectl -f
${places.flatMap(linesOf).join("\n")}
`
}

// -- internals ---------------------------------------------------------------

const linesOf = ({ args, commands, options, path }: Place): ReadonlyArray<string> => [
  ...commands.map(({ about, name }) => `${when(path, 0)} -a ${quoted(name)} -d ${quoted(about)}`),
  ...options.flatMap(({ names, value }) =>
    names.map((name) => `${when(path)} ${flag(name)}${value === undefined ? "" : ` ${taken(value)}`}`)
  ),
  ...args.flatMap((arg, index) => arg._tag === "Nothing" ? [] : [`${when(path, index)} ${given(arg)}`])
]

const when = (path: string, position?: number): string =>
  `complete -c vibectl -n ${
    quoted(`__vibectl_is ${[quoted(path), ...position === undefined ? [] : [position]].join(" ")}`)
  }`

const flag = (name: string): string => name.startsWith("--") ? `-l ${name.slice(2)}` : `-s ${name.slice(1)}`

/** As the value of an option: nothing else than what is offered, except for files. */
const taken = (offer: Offer): string => {
  if (offer._tag === "Files") return "-r -F"
  return offer._tag === "Nothing" ? "-x" : `-x ${given(offer)}`
}

const given = (offer: Offer): string => {
  switch (offer._tag) {
    case "List":
      return `-a ${quoted(offer.words.join(" "))}`
    case "Names":
      return `-a ${quoted(`(${listing(offer.kind)})`)}`
    case "Files":
      return "-F"
    case "Nothing":
      return ""
  }
}

/** In single quotes, as fish reads them. */
const quoted = (text: string): string => `'${text.replace(/[\\']/g, (character) => `\\${character}`)}'`
