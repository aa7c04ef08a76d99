/**
 * How the parts of one answer, in the order in which they came, become its text and its end.
 *
 * The rules that hold for every wire: once the vendor has said why the answer ended, nothing odd that follows takes it
 * away; before that, a failure is one wherever it stands; text that cannot be understood is never left out in silence;
 * blanks alone are no answer, and leave with what follows them; half of a surrogate pair waits for its other half. Bytes
 * in, meanings out: no time, and no effects.
 */
import type { FinishReason, Usage } from "../../domain/Answer.js"
import * as Utf16 from "../../domain/Utf16.js"
import * as Json from "../Json.js"
import type { Finish } from "./FinishReasons.js"
import * as Frames from "./Frames.js"
import * as InBand from "./InBand.js"
import * as SoFar from "./SoFar.js"

/** What some bytes mean. */
export interface Heard {
  /** May be empty; has no half of a surrogate pair. */
  readonly text: string
  /** Whether the model works on the answer: it wrote text, or thought, or called a tool. */
  readonly isAlive: boolean
  /** Undefined while the answer goes on. Nothing may be read after it. */
  readonly end: End | undefined
}

export type End =
  | { readonly _tag: "Complete"; readonly finishReason: FinishReason; readonly usage: Usage | undefined }
  | Empty
  | { readonly _tag: "Failed"; readonly failure: InBand.Failure }
  | { readonly _tag: "Broken"; readonly detail: "stream ended early" | "invalid event" | "event too large" }

/** The answer ended, and there is nothing to read in it. */
export interface Empty {
  readonly _tag: "Empty"
  /** What there is instead of a text. */
  readonly detail: "no text" | "only reasoning" | "only a tool call" | "refusal" | "content_filter" | "length"
}

export interface Reader {
  readonly push: (bytes: Uint8Array) => Heard
  /** The end of the body. */
  readonly bodyEnded: () => Heard
  /** The connection failed, or was silent for too long: the end, if the vendor has said before why the answer ended. */
  readonly cut: () => Heard | undefined
  /** Whether the vendor has said why the answer ended, and how much it used in all. */
  readonly stage: () => "open" | "finished" | "settled"
  /** Whether the body is no stream but one whole answer. */
  readonly isWhole: () => boolean
}

/** What one wire makes of one JSON value; it tells `answer` what it finds. */
export type Wire = (root: Json.JsonObject, event: string, answer: Answer) => void

/** Takes what is found in the order in which it was sent. */
export interface Answer {
  readonly text: (text: string) => void
  /** The whole text so far, or all of it, with blanks around it or without: what is not known of it yet is new. */
  readonly wholeText: (text: string) => void
  /** The whole text of a part of the answer that ends here: new, unless the text so far ends with it. */
  readonly wholePart: (text: string) => void
  /** A sign of life that is no text. */
  readonly alive: () => void
  readonly calls: () => void
  readonly usage: (usage: Usage | undefined) => void
  readonly finish: (finish: Finish) => void
  readonly fail: (failure: InBand.Failure) => void
  /** A sentence that is no answer: a failure, if the body ends with neither text after it nor a reason. */
  readonly suspect: (failure: InBand.Failure) => void
  /** A whole answer, which needs no reason to be complete when its body ends. */
  readonly whole: () => void
  /** The vendor's last word. */
  readonly done: () => void
}

/** `onUsage` gets the counts so far, each time that they are reported. */
export const reader = (wire: Wire, onUsage: ((usage: Usage) => void) | undefined): Reader => {
  const frames = Frames.make()
  const state = fresh()
  const answer = answerOf(state, onUsage)

  const hear = (all: ReadonlyArray<Frames.Frame>): Heard => {
    for (const frame of all) {
      if (state.end !== undefined) break
      take(wire, frame, state, answer)
    }
    return heard(state)
  }
  return {
    push: (bytes) => hear(frames.push(bytes)),
    bodyEnded: () => {
      hearAll(wire, frames.end(), state, answer)
      state.end ??= atEnd(state)
      return heard(state)
    },
    cut: () => {
      if (state.finish !== undefined) state.end ??= ended(state)
      return state.end === undefined ? undefined : heard(state)
    },
    stage: () => state.finish === undefined ? "open" : state.isSettled ? "settled" : "finished",
    isWhole: () => state.isWholeBody
  }
}

/** The whole of a body: its text and its end. */
export const ofBody = (wire: Wire, body: string, onUsage: ((usage: Usage) => void) | undefined): Heard => {
  const state = fresh()
  const answer = answerOf(state, onUsage)
  hearAll(wire, Frames.ofText(body), state, answer)
  state.end ??= atEnd(state)
  return heard(state)
}

// -- internals ---------------------------------------------------------------

interface State {
  /** What was not given out yet. */
  text: string
  /** Blanks that the text began with, while nothing else of it came: of blanks alone, none is given out. */
  blanks: string
  isAlive: boolean
  /** The first half of a surrogate pair, whose second one may follow. */
  half: string
  soFar: SoFar.SoFar
  hasThought: boolean
  hasCalled: boolean
  usage: Usage | undefined
  finish: Finish | undefined
  /** Whether the body is one whole answer so far, which needs no reason to be complete. */
  isComplete: boolean
  isWholeBody: boolean
  isFirst: boolean
  /** Whether the last counts came with the reason of the end, or after it. */
  isSettled: boolean
  suspicion: InBand.Failure | undefined
  /** Values so far. */
  values: number
  /** Of the present event. */
  hasText: boolean
  hasUsage: boolean
  hasWhole: boolean
  end: End | undefined
}

const fresh = (): State => ({
  text: "",
  blanks: "",
  isAlive: false,
  half: "",
  soFar: SoFar.nothing(),
  hasThought: false,
  hasCalled: false,
  usage: undefined,
  finish: undefined,
  isComplete: false,
  isWholeBody: false,
  isFirst: true,
  isSettled: false,
  suspicion: undefined,
  values: 0,
  hasText: false,
  hasUsage: false,
  hasWhole: false,
  end: undefined
})

const answerOf = (state: State, onUsage: ((usage: Usage) => void) | undefined): Answer => {
  const text = (given: string): void => {
    if (given === "") return
    // All of it, once more.
    if (state.finish !== undefined && SoFar.isSame(state.soFar, given)) return
    state.suspicion = undefined
    state.hasText = true
    state.isAlive = true
    SoFar.add(state.soFar, given)
    state.text += given
  }
  return {
    text,
    wholeText: (given) => text(SoFar.restOf(state.soFar, given)),
    wholePart: (given) => {
      if (!SoFar.endsWith(state.soFar, given)) text(given)
    },
    alive: () => {
      state.isAlive = true
      state.hasThought = true
    },
    calls: () => {
      state.isAlive = true
      state.hasCalled = true
    },
    usage: (usage) => {
      if (usage === undefined) return
      state.usage = usage
      state.hasUsage = usage.outputTokens > 0
      onUsage?.(usage)
    },
    finish: (finish) => {
      if (state.finish !== undefined) return
      if (finish.reason === "error") state.end ??= { _tag: "Failed", failure: InBand.ofWord(finish.word) }
      else state.finish = finish
    },
    fail: (failure) => {
      // What follows a complete answer does not take it away.
      if (state.finish === undefined) state.end ??= { _tag: "Failed", failure }
    },
    suspect: (failure) => {
      state.suspicion = failure
    },
    whole: () => {
      state.hasWhole = true
    },
    done: () => {
      state.end ??= ended(state)
    }
  }
}

const hearAll = (wire: Wire, frames: ReadonlyArray<Frames.Frame>, state: State, answer: Answer): void => {
  for (const frame of frames) {
    if (state.end !== undefined) return
    take(wire, frame, state, answer)
  }
}

const take = (wire: Wire, frame: Frames.Frame, state: State, answer: Answer): void => {
  state.hasText = false
  state.hasUsage = false
  state.hasWhole = false
  switch (frame.kind) {
    case "broken":
      if (frame.detail === "event too large" || state.finish === undefined) {
        state.end = { _tag: "Broken", detail: frame.detail }
      }
      return
    case "word":
      return takeWord(frame, answer)
    case "value": {
      const roots = Array.isArray(frame.value) ? frame.value : [frame.value]
      for (const root of roots) {
        if (Json.isRecord(root)) wire(root, frame.event, answer)
        else if (typeof root === "string") takeWord({ kind: "word", event: frame.event, word: root }, answer)
        if (state.end !== undefined) break
      }
      // Of a stream, the end of the body alone does not make it complete.
      state.isComplete = state.hasWhole && !frame.isData && state.values === 0
      state.values++
      if (state.isFirst && !frame.isData && (state.isComplete || state.end?._tag === "Failed")) state.isWholeBody = true
      if (state.hasText || state.isAlive) state.isFirst = false
      state.isSettled = state.isSettled || state.finish !== undefined && state.hasUsage
    }
  }
}

const takeWord = ({ event, word }: Frames.Word, answer: Answer): void => {
  if (isDone.test(word)) return answer.done()
  const failure = InBand.isErrorEvent(event) ? { body: { message: word } } : InBand.ofText(word)
  if (failure !== undefined) answer.fail(failure)
}

/** Of [DONE]: without its brackets, too, but not with one of them, which is a word that was cut. */
const isDone = /^["'\s]*(\[\s*done\s*\]|<\s*done\s*\/?>|done)["'\s.;!]*$/i

const atEnd = (state: State): End => state.finish !== undefined || state.isComplete ? ended(state) : early(state)

/** A vendor that sent nothing but a sentence has failed, as that says. */
const early = ({ suspicion }: State): End =>
  suspicion !== undefined
    ? { _tag: "Failed", failure: suspicion }
    : { _tag: "Broken", detail: "stream ended early" }

const ended = (state: State): End => {
  const finishReason = state.finish?.reason ?? "unknown"
  if (state.finish === undefined && state.suspicion !== undefined && !state.isComplete) return early(state)
  if (SoFar.isVisible(state.soFar)) return { _tag: "Complete", finishReason, usage: state.usage }
  // Neither text nor a reason is not an answer.
  return state.finish === undefined && !state.isComplete
    ? early(state)
    : { _tag: "Empty", detail: insteadOfText(finishReason, state) }
}

const insteadOfText = (reason: FinishReason, { hasCalled, hasThought }: State): Empty["detail"] => {
  if (reason === "refusal" || reason === "content_filter" || reason === "length") return reason
  if (hasCalled || reason === "tool_calls") return "only a tool call"
  return hasThought ? "only reasoning" : "no text"
}

/** In UTF-16 code units; more of them leave without anything after them. */
const maxBlanks = 65_536

const heard = (state: State): Heard => {
  const { end, isAlive } = state
  let text = state.blanks + state.half + state.text
  state.blanks = ""
  state.half = ""
  state.text = ""
  state.isAlive = false
  if (!SoFar.isVisible(state.soFar) && text.length < maxBlanks) {
    state.blanks = text
    text = ""
  }
  if (text !== "") {
    const last = text.charCodeAt(text.length - 1)
    if (end === undefined && last >= 0xd800 && last <= 0xdbff) {
      state.half = text.slice(-1)
      text = text.slice(0, -1)
    }
    text = Utf16.wellFormed(text)
  }
  return { text, isAlive, end }
}
