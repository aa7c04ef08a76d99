/**
 * What the user typed cannot be done; the exit code is 2.
 */
import { Data } from "effect"

export class UsageInvalid extends Data.TaggedError("UsageInvalid")<{
  readonly summary: string
  readonly remedy: string
}> {
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}
