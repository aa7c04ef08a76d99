/**
 * Types, Effect diagnostics and lint over one TypeScript program: `node tools/check.mjs [types] [effect] [lint] [FILE…]`,
 * all three without a word; types always of everything, the others of the files that are named, or of all.
 *
 * Each of their own commands reads and checks every file anew (the one of the Effect diagnostics for every 50 files),
 * and together they took longer than the tests. They say the same here: the compiler's own check, the check that
 * `effect-language-service patch` builds into `tsc`, with the severities of `tsconfig.json` for `src` and of
 * `test/tsconfig.json` for all else, and ESLint with its own configuration.
 */
import { ESLint } from "eslint"
import { createRequire } from "node:module"
import * as Path from "node:path"
import ts from "typescript"

const root = Path.dirname(import.meta.dirname)
const words = process.argv.slice(2)
const named = words.filter((word) => word.includes(".")).map((file) => Path.resolve(file))
const kinds = words.filter((word) => !word.includes("."))
const wanted = kinds.length > 0 ? kinds : ["types", "effect", "lint"]

const read = (file) => {
  const host = { ...ts.sys, onUnRecoverableConfigFileDiagnostic: (diagnostic) => fail([diagnostic]) }
  return ts.getParsedCommandLineOfConfigFile(Path.join(root, file), {}, host)
}
const format = {
  getCanonicalFileName: (name) => name,
  getCurrentDirectory: () => root,
  getNewLine: () => "\n"
}
const fail = (diagnostics) => {
  process.stdout.write(ts.formatDiagnosticsWithColorAndContext(diagnostics, format))
  process.exitCode = 1
}

const config = read("tsconfig.json")
const program = ts.createProgram({
  rootNames: config.fileNames,
  options: config.options,
  configFileParsingDiagnostics: config.errors
})
const ours = program.getSourceFiles().filter(({ fileName }) => config.fileNames.includes(fileName))

const checks = {
  types: () => {
    const diagnostics = ts.getPreEmitDiagnostics(program)
    if (diagnostics.length > 0) fail(diagnostics)
    return `${ours.length} files, ${diagnostics.length} errors`
  },

  effect: () => {
    const service = createRequire(import.meta.url)("@effect/language-service/effect-lsp-patch-utils.js")
    const { options: testOptions } = read("test/tsconfig.json")
    const diagnostics = []
    const files = named.length === 0 ? ours : ours.filter(({ fileName }) => named.includes(fileName))
    for (const file of files) {
      const options = file.fileName.startsWith(`${root}/src/`) ? config.options : testOptions
      service.checkSourceFileWorker(ts, program, file, options, (found) => diagnostics.push(found), "tsc")
    }
    const shown = diagnostics.filter(({ category }) => category <= ts.DiagnosticCategory.Error)
    if (shown.length > 0) fail(shown)
    return `${files.length} files, ${shown.length} errors and warnings`
  },

  lint: async () => {
    const eslint = new ESLint({
      cwd: root,
      overrideConfig: {
        files: ["**/*.ts"],
        languageOptions: { parserOptions: { projectService: false, programs: [program] } }
      }
    })
    const results = await eslint.lintFiles(named.length === 0 ? ["."] : named)
    const found = results.filter(({ messages }) => messages.length > 0)
    if (found.length > 0) {
      process.stdout.write(await (await eslint.loadFormatter("stylish")).format(results))
      if (found.some(({ errorCount }) => errorCount > 0)) process.exitCode = 1
    }
    return `${results.length} files, ${found.length} with findings`
  }
}

for (const name of wanted) {
  const before = process.cpuUsage()
  const said = await checks[name]()
  const { user, system } = process.cpuUsage(before)
  process.stdout.write(`${name}: ${said} (${((user + system) / 1e6).toFixed(0)} s of CPU)\n`)
}
