/**
 * Who is calling: settled from the metadata, before the request is decoded.
 *
 * Every method of the server passes through here, whichever package it comes
 * from; only health checks need no token. A handler learns its caller with
 * {@link callerOf}, which knows only calls that passed.
 */
import * as Grpc from "@grpc/grpc-js"
import { Effect } from "effect"
import * as Bearer from "../auth/Bearer.js"
import type { Tokens } from "../auth/Tokens.js"
import { type Caller, type Feature, features } from "../domain/Answer.js"
import { Unauthenticated, type VersionIncompatible } from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import * as ProxyMetrics from "../proxy/ProxyMetrics.js"
import * as Compatibility from "../versions/Compatibility.js"
import { type Bridge, methodOf } from "./Bridge.js"
import * as Status from "./Status.js"

/** Metadata a vibectl client sends of itself. */
export const clientVersionKey = "x-vibectl-client-version"
export const featuresKey = "x-vibectl-features"

/** Checks every call's token; with no `tokens`, authentication is off and everybody is `anonymous`. */
export const interceptor =
  (bridge: Bridge, tokens: Tokens["Type"] | undefined): Grpc.ServerInterceptor => (method, call) => {
    if (method.path.startsWith(healthPrefix)) return new Grpc.ServerInterceptingCall(call)
    return new Grpc.ServerInterceptingCall(call, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, pass) => {
            bridge.fork(Effect.matchEffect(identify(metadata, tokens), {
              onSuccess: (caller) =>
                Effect.sync(() => {
                  callers.set(metadata, caller)
                  pass(metadata)
                }),
              onFailure: (error) =>
                Effect.logInfo("call refused").pipe(
                  Effect.annotateLogs({ rpc: method.path, peer: call.getPeer(), outcome: error.reason }),
                  Effect.zipRight(ProxyMetrics.calls(methodOf(method.path), error.reason)),
                  Effect.zipRight(Effect.sync(() => call.sendStatus(Status.fromError(error))))
                )
            }))
          }
        })
    })
  }

/** The caller of a call that passed the interceptor. */
export const callerOf = (metadata: Grpc.Metadata): Effect.Effect<Caller, Unauthenticated> =>
  Effect.suspend(() => {
    const caller = callers.get(metadata)
    return caller === undefined ? new Unauthenticated({ reason: "TOKEN_MISSING" }) : Effect.succeed(caller)
  })

// -- internals ---------------------------------------------------------------

const healthPrefix = "/grpc.health.v1.Health/"

/** Keyed by the metadata object of the call, which grpc-js hands to the handler as it is. */
const callers = new WeakMap<Grpc.Metadata, Caller>()

const identify = (
  metadata: Grpc.Metadata,
  tokens: Tokens["Type"] | undefined
): Effect.Effect<Caller, Unauthenticated | VersionIncompatible> =>
  Effect.gen(function*() {
    const claims = tokens === undefined
      ? anonymous
      : yield* Effect.flatMap(Bearer.parse(text(metadata, "authorization")), tokens.verify)
    const version = text(metadata, clientVersionKey)
    if (version !== undefined) {
      const verdict = Compatibility.compare(version, packageVersion)
      if (verdict._tag === "Incompatible") return yield* verdict.error
    }
    return {
      subject: claims.subject,
      tokenId: claims.tokenId,
      features: declared(text(metadata, featuresKey)),
      deadline: Infinity
    }
  })

const anonymous = { subject: "anonymous", tokenId: undefined }

/** One value; several of the same key are joined as HTTP does (RFC 9110, section 5.3). */
const text = (metadata: Grpc.Metadata, key: string): string | undefined => {
  const values = metadata.get(key)
  return values.length === 0 ? undefined : values.join(", ")
}

const declared = (header: string | undefined): ReadonlySet<Feature> => {
  const names = header?.split(",").map((name) => name.trim()) ?? []
  return new Set(features.filter((feature) => names.includes(feature)))
}
