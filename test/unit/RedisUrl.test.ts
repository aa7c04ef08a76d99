import { assert, describe, it } from "@effect/vitest"
import * as RedisUrl from "../../src/config/RedisUrl.js"

describe("the URL of a Redis", () => {
  const good = ["redis://r", "rediss://r:6380/2", "redis://u:p%40ss@r:6379/", "redis://[::1]:6379"]
  it("is taken without parameters", () => {
    for (const url of good) assert.isUndefined(RedisUrl.fault(url), url)
  })

  const rows: ReadonlyArray<readonly [string, RegExp]> = [
    ["redis://r?ssl_cert_reqs=none", /parameter ssl_cert_reqs is unknown.*state\.ca_file/],
    ["rediss://r/0?db=3&timeout=2", /parameters db, timeout are unknown/],
    ["redis://user:12?hunter2secret@r", /write \? as %3F/],
    ["redis://u:p%zz@r", /write % as %25/],
    ["redis://r#hunter2secret", /# as %23/],
    ["http://r", /must be a URL like/],
    ["redis://r/name", /must be a URL like/]
  ]
  it("names what is wrong, and shows no secret", () => {
    for (const [url, message] of rows) {
      assert.match(String(RedisUrl.fault(url)), message, url)
      assert.notInclude(String(RedisUrl.fault(url)), "hunter2")
    }
  })
})
