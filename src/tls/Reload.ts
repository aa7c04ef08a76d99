/**
 * Keeps what a server presents up to date while it runs.
 *
 * Changed files are used within seconds, for new connections. Files that
 * cannot be used change nothing and are warned about once. The certificate
 * that the server made itself is renewed before it ends, and of one that will
 * end soon and cannot be renewed here there is a warning a day.
 */
import type { FileSystem } from "@effect/platform"
import { DateTime, Duration, Effect, Redacted, Schedule } from "effect"
import * as Presented from "./Presented.js"

export interface Times {
  /** How often the files are looked at. */
  readonly look: Duration.Duration
  /** How often the server asks itself whether its own certificate must be renewed. */
  readonly renew: Duration.Duration
  /** How often there is a warning of what ends soon. */
  readonly warn: Duration.Duration
}

export const times: Times = { look: Duration.seconds(2), renew: Duration.hours(1), warn: Duration.days(1) }

/** `use` takes over what was read; it fails when that cannot be used after all. Runs until it is interrupted. */
export const follow = (
  source: Presented.Source,
  first: Presented.Presented,
  use: (next: Presented.Presented) => Effect.Effect<void, { readonly message: string }>,
  { look: every, renew, warn }: Times = times
): Effect.Effect<void, never, FileSystem.FileSystem> =>
  Effect.gen(function*() {
    let present = first
    // Not those of the files that `first` came from: they may have changed since.
    let seen = ""
    let warned: string | undefined
    let doubtful = false
    const turn = yield* Effect.makeSemaphore(1)

    const refresh = (settled: boolean) =>
      Presented.read(source).pipe(
        Effect.flatMap((next) => same(present, next) ? Effect.succeed(undefined) : Effect.as(use(next), next)),
        Effect.matchEffect({
          onFailure: ({ message }) => {
            // Certificate and key are seldom replaced in the same moment: what does not fit now may fit soon.
            doubtful = !settled
            if (!settled || message === warned) return Effect.void
            warned = message
            return Effect.annotateLogs(Effect.logWarning("the certificates stay as they were"), { problem: message })
          },
          onSuccess: (next) => {
            doubtful = false
            warned = undefined
            if (next === undefined) return Effect.void
            present = next
            return Effect.zipRight(announce(next), Presented.warnOfEnd(next))
          }
        })
      )

    const look = Effect.flatMap(Presented.stamp(source), (stamp) => {
      const settled = stamp === seen
      seen = stamp
      if (!settled) warned = undefined
      return settled && !doubtful ? Effect.void : refresh(settled)
    })

    yield* Presented.warnOfEnd(first)
    yield* Effect.all([
      Effect.schedule(turn.withPermits(1)(look), Schedule.spaced(every)),
      Effect.schedule(turn.withPermits(1)(refresh(true)), Schedule.spaced(renew)),
      Effect.schedule(Effect.suspend(() => Presented.warnOfEnd(present)), Schedule.spaced(warn))
    ], { concurrency: "unbounded", discard: true })
  })

// -- internals ---------------------------------------------------------------

const same = (one: Presented.Presented, other: Presented.Presented): boolean =>
  one.certificate.certChain === other.certificate.certChain
  && Redacted.value(one.certificate.key) === Redacted.value(other.certificate.key)
  && one.clientCa === other.clientCa

const announce = ({ caFile, createdCa, parts: [certificate] }: Presented.Presented) =>
  Effect.logInfo("certificates replaced").pipe(
    Effect.annotateLogs({ file: certificate.file, notAfter: DateTime.formatIso(certificate.notAfter) }),
    Effect.zipRight(
      createdCa
        ? Effect.annotateLogs(Effect.logWarning("a new CA was made: clients on other machines must trust it"), {
          ca: caFile ?? ""
        })
        : Effect.void
    )
  )
