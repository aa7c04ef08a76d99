// What is measured: what the provider does, and how many calls run at once.
//
// The name of a model says what the provider answers:
// burst-N     a stream of N tokens in one write
// writes-N    a stream of N tokens, each in a write of its own
// paced-NxMS  a stream of N tokens, MS milliseconds apart
// unary-N     a whole answer of N tokens
// fail-429 fail-500 refuse; fail-cut hangs up after three tokens

/** Some are longer in UTF-8 than in UTF-16, and one needs an escape in JSON. */
const words = [" the", " pod", " is", " not", " ready", ":", " its", " image", " naïve", " \"x\"", " can", " be", " …"]

export const piecesOf = (tokens) => Array.from({ length: tokens }, (_, index) => words[index % words.length])

/** What a model's name says. */
export const shapeOf = (model) => {
  const [, kind, tokens, pause] = /^bench-(burst|writes|paced|unary|fail)-(\d+|cut)(?:x(\d+))?$/.exec(model) ?? []
  if (kind === undefined) return undefined
  if (kind === "fail") return { kind, how: tokens }
  return { kind, tokens: Number(tokens), pause: Number(pause ?? 0), text: piecesOf(Number(tokens)).join("") }
}

const scenario = (name, rpc, model, streams, about, seconds = {}) => ({
  name,
  rpc,
  model,
  streams,
  about,
  tokens: model === undefined ? 0 : shapeOf(model).tokens,
  /** Seconds before and of the measurement. */
  lead: seconds.lead ?? 1,
  window: seconds.window ?? 4,
  /** Seconds over which the first calls begin, so that their pauses do not fall together. */
  ramp: seconds.ramp ?? 0
})

export const scenarios = [
  scenario("burst", "stream", "bench-burst-100", 32, "100 tokens in one write, 32 streams at once"),
  scenario("writes", "stream", "bench-writes-100", 32, "100 tokens in as many writes, 32 streams at once"),
  scenario("unary", "unary", "bench-unary-100", 32, "a whole answer of 100 tokens, 32 calls at once"),
  scenario("info", "info", undefined, 32, "GetServerInfo, 32 calls at once"),
  scenario("light", "stream", "bench-paced-50x10", 8, "50 tokens 10 ms apart, 8 streams at once: nobody waits", {
    ramp: 0.5
  }),
  scenario("paced", "stream", "bench-paced-50x10", 200, "50 tokens 10 ms apart, 200 streams at once", {
    ramp: 0.5,
    lead: 1.5
  }),
  scenario("slow", "stream", "bench-paced-20x250", 1000, "20 tokens 250 ms apart, 1,000 streams at once", {
    ramp: 5,
    lead: 6,
    window: 5
  })
]

/** The same, shorter and noisier. */
export const short = (one) => ({ ...one, lead: one.ramp === 0 ? 0.5 : one.ramp + 0.5, window: 2.5 })

/** A server is slow until its code has been compiled, which takes calls and not seconds; but not for ever. */
export const warming = (one, calls, seconds) => ({ ...one, calls, atMost: seconds, streams: 32, ramp: 0 })

/** Those that run all code there is. */
export const warms = ({ ramp }) => ramp === 0

/** A few calls, to see whether every answer is whole. */
export const tiny = (one) => ({
  ...one,
  model: one.name === "slow" ? "bench-paced-20x5" : one.model,
  streams: 12,
  ramp: 0,
  calls: 24,
  atMost: 30,
  checkAll: true
})

export const failing = ["bench-fail-429", "bench-fail-500", "bench-fail-cut"]

export const models = [...new Set(scenarios.flatMap(({ model }) => model ?? [])), "bench-paced-20x5", ...failing]
