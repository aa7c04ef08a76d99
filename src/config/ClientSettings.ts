/**
 * Every setting of the client's `client/config.yaml`: which servers there are,
 * how calls to them behave, and what the assistant may do.
 */
import { Data, Effect, Schema } from "effect"
import { nearest } from "../domain/Nearest.js"
import { assistant } from "./AssistantSettings.js"
import * as Fields from "./Fields.js"
import type { Completed, Description } from "./Load.js"
import { together } from "./Rules.js"
import * as Security from "./SecuritySettings.js"
import * as Shape from "./Shape.js"
import * as Tree from "./Tree.js"

export type ClientSettings = Schema.Schema.Type<typeof schema>
/** One server; its name is its key in `proxy.profiles`. */
export type Profile = Schema.Schema.Type<typeof profile>
/** How to reach a profile's server. */
export type Reach = Omit<Profile, "security">
export type { AssistantSection } from "./AssistantSettings.js"
export type { SecuritySection } from "./SecuritySettings.js"

/** Whether a profile may have this name. It is a part of file names, too. */
export const isProfileName = (text: string): boolean => Schema.is(name)(text)

/** The profile that calls use; undefined when the proxy is disabled. */
export const activeProfile = (
  { proxy }: ClientSettings
): Effect.Effect<{ readonly name: string; readonly profile: Profile } | undefined, ProfileNotFound> => {
  if (proxy.active === undefined) return Effect.succeed(undefined)
  const found = Object.entries(proxy.profiles).find(([name]) => name === proxy.active)
  return found === undefined
    ? new ProfileNotFound({ name: proxy.active, profiles: Object.keys(proxy.profiles) })
    : Effect.succeed({ name: found[0], profile: found[1] })
}

/** There is no profile of this name. */
export class ProfileNotFound extends Data.TaggedError("ProfileNotFound")<{
  readonly name: string
  readonly profiles: ReadonlyArray<string>
}> {
  get summary() {
    return `There is no profile '${this.name}'.`
  }
  get remedy() {
    if (this.profiles.length === 0) return "None is configured; add one with `vibectl setup-proxy configure NAME URL`."
    const closest = nearest(this.name, this.profiles)
    const guess = closest.length === 0 ? "" : `Did you mean ${closest.join(" or ")}? `
    return `${guess}Profiles: ${this.profiles.join(", ")}.`
  }
  override get message() {
    return `${this.summary} ${this.remedy}`
  }
}

// -- internals ---------------------------------------------------------------

const name = Schema.String.pipe(Schema.pattern(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/)).annotations(
  Shape.expects("the name of a profile: 1 to 64 letters, digits, _, . and -, the first a letter or digit")
)

const profile = Schema.Struct({
  // A URL with a token in it may have been pasted here: it never shows in a message.
  server_url: Fields.text.annotations(Shape.expects("the URL of a server: vibectl-server://HOST:PORT", {
    about: "vibectl-server://HOST:PORT, or vibectl-server-insecure:// for plaintext.",
    private: true,
    example: "vibectl-server://llm.example.com:50051"
  })),
  ca_bundle_path: Fields.optional(Fields.path.annotations(Shape.note("PEM file of the CA to trust.", { path: true }))),
  jwt_path: Fields.optional(Fields.path.annotations(Shape.note("File that holds the token.", { path: true }))),
  client_cert_path: Fields.optional(
    Fields.path.annotations(Shape.note("PEM certificate for a server that asks its clients for one.", { path: true }))
  ),
  client_key_path: Fields.optional(
    Fields.path.annotations(Shape.note("PEM private key of that certificate.", { path: true }))
  ),
  security: Security.security
})

const schema = Schema.Struct({
  proxy: Schema.Struct({
    active: Fields.optional(name.annotations(Shape.note("The profile in use; null turns the proxy off."))),
    profiles: Schema.Record({ key: name, value: profile }).annotations(Shape.note("Servers, by name.", {
      names: "the name of a profile is 1 to 64 letters, digits, _, . and -, the first a letter or digit",
      example: "work"
    })),
    timeout_seconds: Fields.timeout.annotations(Shape.note("Seconds that a whole call may take.")),
    retry_attempts: Fields.wholeNumber(0, 10).annotations(Shape.note("Further attempts after the first, 0 to 10."))
  }),
  assistant
})

/** What a profile says of its own security stands over what applies to all. */
const complete = (root: Tree.Node): Completed => {
  const profiles = Tree.at(root, ["proxy", "profiles"])
  const names = Tree.isBranch(profiles) ? [...profiles.content.keys()] : []
  return names.reduce<Completed>((before, name) => {
    const after = Security.complete(before.root, ["proxy", "profiles", name])
    return { root: after.root, problems: [...before.problems, ...after.problems] }
  }, { root, problems: [] })
}

export const description: Description<ClientSettings, Schema.Schema.Encoded<typeof schema>> = {
  schema,
  defaults: {
    proxy: { profiles: {}, timeout_seconds: 300, retry_attempts: 3 },
    assistant: {
      mode: "semiauto",
      allow_verbs: [],
      max_steps: 10,
      kubectl: "kubectl",
      kubectl_timeout_seconds: 60,
      show_kubectl: true,
      show_metrics: false,
      memory: true,
      memory_max_chars: 2000
    }
  },
  foreign: ["server", "tls", "auth", "access", "audit", "state", "prices", "providers", "model_aliases", "fallbacks"],
  complete: (root) => Effect.succeed(complete(root)),
  check: (root) => {
    const profiles = Tree.at(root, ["proxy", "profiles"])
    return (Tree.isBranch(profiles) ? [...profiles.content.keys()] : []).flatMap((name) =>
      together(root, ["proxy", "profiles", name], "client_cert_path", "client_key_path")
    )
  }
}
