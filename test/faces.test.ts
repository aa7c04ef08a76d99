/**
 * The error algebra is closed: an error that lacks one of its faces does not compile.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Path from "node:path"
import ts from "typescript"

const root = new URL("..", import.meta.url).pathname
const errors = Path.join(root, "src/domain/Errors.ts")
const faces = ["src/grpc/Status.ts", "src/grpc/Details.ts", "src/terminal/Failure.ts"]

/** What both programs have in common is read once. */
const sources = new Map<string, ts.SourceFile | undefined>()

/** The files with a type error when `Errors.ts` has this text in place of its own. */
const broken = (edit: (text: string) => string): ReadonlyArray<string> => {
  const config = ts.readConfigFile(Path.join(root, "tsconfig.json"), (file) => ts.sys.readFile(file))
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, root)
  const host = ts.createCompilerHost(options)
  const read = host.getSourceFile.bind(host)
  host.getSourceFile = (file, languageVersion, ...rest) => {
    if (Path.resolve(file) === errors) {
      return ts.createSourceFile(file, edit(ts.sys.readFile(errors)!), languageVersion)
    }
    if (!sources.has(file)) sources.set(file, read(file, languageVersion, ...rest))
    return sources.get(file)
  }
  const program = ts.createProgram(faces.map((file) => Path.join(root, file)), options, host)
  return faces.filter((file) => program.getSemanticDiagnostics(program.getSourceFile(Path.join(root, file))).length > 0)
}

describe("a new error", () => {
  it("does not compile before it has a status, details and an exit code", () => {
    const withNew = (text: string) =>
      text.replace("export type ProxyError =", "export type ProxyError =\n  | Brandnew") + `
export class Brandnew extends Data.TaggedError("Brandnew") {
  readonly reason = "BRAND_NEW"
  get summary() { return "" }
  get remedy() { return "" }
}
`
    assert.deepStrictEqual(broken((text) => text), [])
    assert.deepStrictEqual(broken(withNew), faces)
  })
})
