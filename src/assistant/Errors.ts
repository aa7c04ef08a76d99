/**
 * The ways a request to the assistant can end without an answer, besides those of a call to the server.
 */
import { Data } from "effect"

export type VibeError =
  | PlanMalformed
  | Impossible
  | StepsUsedUp
  | NotConfirmed
  | Declined
  | CommandRefused
  | ClusterUnreachable
  | LastCommandFailed

/** The model's answer was no plan, and neither was its second one. */
export class PlanMalformed extends Data.TaggedError("PlanMalformed")<{ readonly problem: string }> {
  get summary() {
    return `The model did not answer with a plan that can be followed: ${this.problem}`
  }
  get remedy() {
    return "Ask again, or use a model that is better at structured output: --model NAME (`vibectl models` lists them)."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The model says that it cannot be done. */
export class Impossible extends Data.TaggedError("Impossible")<{ readonly summary: string }> {
  readonly remedy = "Ask for something else, or say more of what you want."
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** The request was not done within the number of steps it may take. */
export class StepsUsedUp extends Data.TaggedError("StepsUsedUp")<{ readonly steps: number }> {
  get summary() {
    return `The request is not done after ${this.steps} steps.`
  }
  get remedy() {
    return "Ask for less at once, or allow more steps with --max-steps."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** A command needs a yes, and there is nobody to ask. */
export class NotConfirmed extends Data.TaggedError("NotConfirmed")<{
  /** As a person would type it. */
  readonly command: string
  readonly because: string
  /** Whether only somebody who sees it may allow it. */
  readonly mustBeSeen: boolean
}> {
  get summary() {
    return `Not run: ${this.command} (${this.because}); it needs a yes, and there is no terminal to ask on.`
  }
  get remedy() {
    return this.mustBeSeen
      ? "Run vibectl on a terminal, where somebody can look at it; --yes does not allow this."
      : "Run vibectl on a terminal, approve commands without asking with --yes, or allow the verb by name: "
        + "assistant.allow_verbs with --mode auto."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** A person declined a command, which ends the request; no error, and not done either. */
export class Declined extends Data.TaggedError("Declined")<{
  /** As a person would type it. */
  readonly command: string
}> {
  get summary() {
    return `Not run: ${this.command}`
  }
  readonly remedy = undefined
  override get message() {
    return this.summary
  }
}

/** The model planned something that is never run. */
export class CommandRefused extends Data.TaggedError("CommandRefused")<{
  readonly command: string
  readonly because: string
}> {
  get summary() {
    return `The model planned a command that is not run: ${this.command} (${this.because}).`
  }
  get remedy() {
    return "Ask in other words; if you do want this command, run it yourself."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** There is an answer, and the last command before it failed; a failure for those who ask for the exit status. */
export class LastCommandFailed extends Data.TaggedError("LastCommandFailed")<{
  /** As a person would type it. */
  readonly command: string
  readonly exitCode: number
}> {
  get summary() {
    return `The last command failed with exit code ${this.exitCode}: ${this.command}`
  }
  readonly remedy = "Read what kubectl printed above, and run it again when its cause is gone."
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

/** There is no cluster that answers. */
export class ClusterUnreachable extends Data.TaggedError("ClusterUnreachable")<{
  /** The first line of what kubectl said. */
  readonly said: string
}> {
  get summary() {
    return `kubectl reaches no cluster: ${this.said}`
  }
  get remedy() {
    return "Check `kubectl config current-context` and that the cluster runs. Questions that need no cluster work without it."
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}
