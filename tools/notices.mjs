/**
 * The licences of what a bundle holds, package by package: their terms ask that copies keep them.
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

/** From esbuild's own account of what went into its outputs. Fails for a package that brings no licence along. */
export const notices = (root, { outputs }) => {
  const used = Object.values(outputs).flatMap(({ inputs }) =>
    Object.entries(inputs).filter(([, { bytesInOutput }]) => bytesInOutput > 0).map(([file]) => file)
  )
  const packages = new Set(used.map((file) => directory.exec(file)?.[0]).filter((found) => found !== undefined))
  const texts = [...packages].sort().map((found) => notice(Path.join(root, found)))
  return `The programs contain parts of these packages:\n\n${texts.join(`\n${"-".repeat(80)}\n\n`)}`
}

// -- internals ---------------------------------------------------------------

const directory = /^.*node_modules\/(?:@[^/]+\/)?[^/]+/

const notice = (path) => {
  const { name, version, license } = JSON.parse(Fs.readFileSync(Path.join(path, "package.json"), "utf8"))
  const files = Fs.readdirSync(path).filter((file) => /^(licen[cs]e|notice|copying)/i.test(file))
  if (!files.some((file) => !/^notice/i.test(file))) throw new Error(`${name} ${version} has no file with its licence`)
  const texts = files.map((file) => Fs.readFileSync(Path.join(path, file), "utf8").trim())
  return `${name} ${version} (${license})\n\n${texts.join("\n\n")}\n`
}
