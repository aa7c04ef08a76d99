/**
 * The completion scripts of bash and zsh, which read almost the same language.
 *
 * Nothing that is typed or listed is ever evaluated: candidates are compared as
 * text and quoted by the shell.
 */
import { listing, type Offer, type Place, quoted } from "./Words.js"

export const bash = (places: ReadonlyArray<Place>): string =>
  `# Completions of vibectl for bash: source <(vibectl completions bash)
_vibectl_offer() {
  local word quoted
  for word; do
    [[ $word == "$cur"* ]] || continue
    printf -v quoted %q "$word"
    COMPREPLY+=("$quoted")
  done
}
_vibectl_names() {
  local word
  while IFS= read -r word; do _vibectl_offer "$word"; done
}
_vibectl_files() {
  local word
  compopt -o filenames 2>/dev/null
  while IFS= read -r word; do COMPREPLY+=("$word"); done < <(compgen -f -- "$cur")
}
_vibectl() {
  local cur=\${COMP_WORDS[COMP_CWORD]} prev=\${COMP_WORDS[COMP_CWORD-1]} at=vibectl word skip= i position=0
  COMPREPLY=()
  # bash makes words of their own of the = in --output=json.
  if [[ $cur == '=' ]]; then cur=
  elif [[ $prev == '=' ]]; then prev=\${COMP_WORDS[COMP_CWORD-2]}
  fi
  for ((i = 1; i < COMP_CWORD; i++)); do
    word=\${COMP_WORDS[i]}
    if [[ -n $skip ]]; then
      [[ $word == '=' ]] || skip=
      continue
    fi
${indented(walk(places), 4)}
  done
${indented(offers(places, bashOffer), 2)}
}
complete -F _vibectl vibectl
`

export const zsh = (places: ReadonlyArray<Place>): string =>
  `#compdef vibectl
# Completions of vibectl for zsh: source <(vibectl completions zsh), after compinit.
_vibectl_names() {
  local -a list
  local word
  while IFS= read -r word; do list+=("$word"); done
  compadd -- "\${list[@]}"
}
_vibectl() {
  local cur=\${words[CURRENT]} prev=\${words[CURRENT-1]} at=vibectl word skip= i position=0
  if [[ $cur == --*=* ]]; then
    prev=\${cur%%=*}
    cur=\${cur#*=}
    compset -P '*='
  fi
  for ((i = 2; i < CURRENT; i++)); do
    word=\${words[i]}
    if [[ -n $skip ]]; then
      skip=
      continue
    fi
${indented(walk(places), 4)}
  done
${indented(offers(places, zshOffer), 2)}
}
compdef _vibectl vibectl
# From a directory of $fpath, this file is the function that is called first.
if [[ \${funcstack[1]} == _vibectl ]]; then _vibectl "$@"; fi
`

// -- internals ---------------------------------------------------------------

type Write = (offer: Offer, abouts?: ReadonlyArray<string>) => string

const indented = (lines: ReadonlyArray<string>, by: number): string =>
  lines.map((line) => `${" ".repeat(by)}${line}`).join("\n")

/** Follows the words typed so far: which command they name, and how many arguments it has. */
const walk = (places: ReadonlyArray<Place>): ReadonlyArray<string> => {
  const commands = places.flatMap(({ commands, path }) => commands.map(({ name }) => quoted(`${path} ${name}`)))
  const taking = places.flatMap(({ options, path }) =>
    options.flatMap(({ names, value }) => value === undefined ? [] : names.map((name) => quoted(`${path} ${name}`)))
  )
  return [
    "case \"$at $word\" in",
    `  ${commands.join("|")}) at="$at $word" ;;`,
    `  ${taking.join("|")}) skip=1 ;;`,
    "  *) [[ $word == -* ]] || ((position += 1)) ;;",
    "esac"
  ]
}

const offers = (places: ReadonlyArray<Place>, write: Write): ReadonlyArray<string> => [
  "case \"$at $prev\" in",
  ...places.flatMap(({ options, path }) =>
    options.flatMap(({ names, value }) =>
      value === undefined
        ? []
        : [`  ${names.map((name) => quoted(`${path} ${name}`)).join("|")}) ${write(value)}; return ;;`]
    )
  ),
  "esac",
  "if [[ $cur == -* ]]; then",
  "  case $at in",
  ...places.map(({ options, path }) =>
    `    ${quoted(path)}) ${write({ _tag: "List", words: options.flatMap(({ names }) => names) })} ;;`
  ),
  "  esac",
  "  return",
  "fi",
  "case \"$at:$position\" in",
  ...places.flatMap(({ args, commands, path }) => [
    ...commands.length === 0 ?
      [] :
      [`  ${quoted(`${path}:0`)}) ${
        write({ _tag: "List", words: commands.map(({ name }) => name) }, commands.map(({ about }) => about))
      } ;;`],
    ...args.flatMap((arg, index) => arg._tag === "Nothing" ? [] : [`  ${quoted(`${path}:${index}`)}) ${write(arg)} ;;`])
  ]),
  "esac"
]

const bashOffer: Write = (offer) => {
  switch (offer._tag) {
    case "List":
      return `_vibectl_offer ${offer.words.map(quoted).join(" ")}`
    case "Names":
      return `_vibectl_names < <(${listing(offer.kind)})`
    case "Files":
      return "_vibectl_files"
    case "Nothing":
      return ":"
  }
}

const zshOffer: Write = (offer, abouts) => {
  switch (offer._tag) {
    case "List": {
      if (abouts === undefined) return `compadd -- ${offer.words.map(quoted).join(" ")}`
      const described = offer.words.map((word, index) => quoted(`${word}:${abouts[index] ?? ""}`))
      return `local -a list=(${described.join(" ")}); _describe command list`
    }
    case "Names":
      return `_vibectl_names < <(${listing(offer.kind)})`
    case "Files":
      return "_files"
    case "Nothing":
      return ":"
  }
}
