import { assert, describe, it } from "@effect/vitest"
import * as Rush from "../../src/models/Rush.js"

describe("Rush", () => {
  const machine = () => {
    let [at, busy] = [0, 0]
    return {
      rush: Rush.make(() => ({ at, busy })),
      /** So many milliseconds pass, with so many of work in them. */
      pass: (millis: number, work: number) => {
        at += millis
        busy += work
      }
    }
  }

  it("is on while the process has something to do for most of the time", () => {
    const { pass, rush } = machine()
    assert.isFalse(rush.isOn())
    pass(100, 60)
    assert.isFalse(rush.isOn())
    pass(100, 90)
    assert.isTrue(rush.isOn())
    pass(100, 90)
    assert.isTrue(rush.isOn())
    pass(100, 10)
    assert.isFalse(rush.isOn())
  })

  it("looks at a tenth of a second and more, however often it is asked", () => {
    const { pass, rush } = machine()
    for (let tick = 0; tick < 9; tick++) {
      pass(10, 10)
      assert.isFalse(rush.isOn())
    }
    pass(10, 10)
    assert.isTrue(rush.isOn())
  })

  it("is over when the process had nothing to do for long", () => {
    const { pass, rush } = machine()
    pass(100, 100)
    assert.isTrue(rush.isOn())
    pass(60_000, 100)
    assert.isFalse(rush.isOn())
  })

  it("reads the event loop of this process", () => {
    const rush = Rush.make()
    const until = performance.now() + 150
    while (performance.now() < until);
    assert.isTrue(rush.isOn())
  })
})
