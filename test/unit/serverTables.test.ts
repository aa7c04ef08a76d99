import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import * as Server from "../../src/server/Cli.js"
import { Columns } from "../../src/terminal/Table.js"
import * as Width from "../../src/terminal/Width.js"
import * as Commands from "../support/Commands.js"

const execute = Commands.executor((argv) => Server.run(argv, Effect.succeed(false)))

describe("tables of vibectl-server", () => {
  const commands = [
    ["config", "show"],
    ["keys", "list"],
    ["revocations"],
    ["certs", "status"],
    ["usage", "--by", "day,subject,model,tenant"]
  ]
  for (const words of commands) {
    for (const columns of [80, 120]) {
      it.effect(`fit a terminal of ${columns} columns: ${words.join(" ")}`, () =>
        Commands.inDirectory(() =>
          Effect.gen(function*() {
            yield* execute("certs", "init")
            yield* execute("generate-token", "ci-bot-of-the-nightly-build")
            yield* execute("revoke-token", "ci-bot-of-the-nightly-build", "--block")
            const { error, stdout } = yield* Effect.provideService(execute(...words), Columns, columns)
            assert.isUndefined(error)
            for (const line of stdout.split("\n")) assert.isAtMost(Width.of(line), columns, line)
          })
        ))
    }
  }

  it.effect("show the default that is in effect where nothing is set", () =>
    Commands.inDirectory(() =>
      Effect.gen(function*() {
        const { stdout } = yield* execute("config", "show")
        assert.match(stdout, /server\.jwt_secret +│ \(generated once, beside this file\)/)
        assert.match(stdout, /server\.log_format +│ \(pretty on a terminal, else json\)/)
      })
    ))
})
