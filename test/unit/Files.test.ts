import { FileSystem } from "@effect/platform"
import { NodeContext } from "@effect/platform-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Option } from "effect"
import * as Files from "../../src/config/Files.js"

const nobody = 65_534

describe("a file that root makes in another user's directory", () => {
  it.scoped.skipIf(process.getuid?.() !== 0)("is that user's, however it is made", () =>
    Effect.gen(function*() {
      const files = yield* FileSystem.FileSystem
      const directory = yield* files.makeTempDirectoryScoped()
      yield* files.chown(directory, nobody, nobody)
      yield* Files.writePrivate(`${directory}/written`, "x")
      yield* Files.createPrivate(`${directory}/created`, "x")
      yield* Files.appendPrivate(`${directory}/added`, "x")
      for (const name of ["written", "created", "added"]) {
        const { mode, uid } = yield* files.stat(`${directory}/${name}`)
        assert.strictEqual(Option.getOrUndefined(uid), nobody, name)
        assert.strictEqual(mode & 0o777, 0o600, name)
      }
    }).pipe(Effect.provide(NodeContext.layer)))
})
