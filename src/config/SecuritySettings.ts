/**
 * What a profile's calls hide, record and ask: the section `security` of a profile.
 */
import { Schema } from "effect"
import * as Fields from "./Fields.js"
import type { Completed } from "./Load.js"
import * as Problem from "./Problem.js"
import * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"

export type SecuritySection = typeof security.Type

/** Every key is set: {@link complete} adds those that the file leaves out. */
export const security = Schema.Struct({
  sanitize_requests: Fields.boolean.annotations(
    Shape.note("Whether secrets are replaced by placeholders before anything is sent.")
  ),
  audit_logging: Fields.boolean.annotations(Shape.note("Whether requests and commands are recorded in the audit log.")),
  confirmation_mode: Fields.oneOf("per-command", "per-session").annotations(
    Shape.expects("per-command or per-session", {
      about: "Ask before each command that changes something, or once per verb and request (destructive ones always)."
    })
  ),
  warn_sanitization: Fields.boolean.annotations(Shape.note("Whether to say what was replaced.")),
  audit_log_path: Fields.optional(Fields.path.annotations(
    Shape.note("The audit log.", { path: true, unset: "audit/PROFILE.jsonl, beside this file" })
  ))
}).annotations(Shape.note("What is hidden, recorded and asked."))

/** Adds to the profile at `path` what applies where it says nothing, and refuses what is not offered. */
export const complete = (root: Tree.Node, path: ReadonlyArray<string>): Completed => {
  const own = [...path, "security"]
  const given = Tree.at(root, own)
  // What is no mapping is told when the whole is decoded.
  if (!Tree.isBranch(Tree.at(root, path)) || given !== undefined && !Tree.isBranch(given)) return { root, problems: [] }
  const unset = Tree.from(defaults, { _tag: "Default" })
  const mode = Tree.at(given, ["confirmation_mode"])
  if (given === undefined || mode?.content !== "none") {
    return { root: Tree.set(root, own, given === undefined ? unset : Tree.merge(unset, given)), problems: [] }
  }
  const rest = new Map(given.content)
  rest.delete("confirmation_mode")
  const problem = Problem.make(Problem.place(mode.source), [...own, "confirmation_mode"], noneRefused, {
    found: "\"none\"",
    allowed: "per-command or per-session"
  })
  return { root: Tree.set(root, own, Tree.merge(unset, { ...given, content: rest })), problems: [problem] }
}

// -- internals ---------------------------------------------------------------

const defaults = {
  sanitize_requests: true,
  audit_logging: true,
  confirmation_mode: "per-command",
  warn_sanitization: true
}

const noneRefused =
  "found \"none\", which this version refuses: nothing that changes a cluster runs without being allowed. "
  + "Expected per-command or per-session. To let some commands run unasked, set assistant.mode to auto and name them in "
  + "assistant.allow_verbs; to approve all of one request, give it --yes."
