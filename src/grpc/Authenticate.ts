/**
 * Who is calling: settled from the metadata, before the request is read.
 *
 * Every method of the server passes through here, whichever package it comes
 * from; only health checks need no token. A handler learns its caller with
 * {@link callerOf}, which knows only calls that passed.
 */
import * as Grpc from "@grpc/grpc-js"
import { Effect, Stream } from "effect"
import type { Audit } from "../audit/Audit.js"
import * as AccessRules from "../auth/AccessRules.js"
import * as Bearer from "../auth/Bearer.js"
import * as Claims from "../auth/Claims.js"
import type { Tokens } from "../auth/Tokens.js"
import { type Caller, type Feature, features } from "../domain/Answer.js"
import type { IdentityUnavailable, ProxyError, Unauthenticated, VersionIncompatible } from "../domain/Errors.js"
import { packageVersion } from "../domain/PackageVersion.js"
import * as ProxyMetrics from "../proxy/ProxyMetrics.js"
import * as Compatibility from "../versions/Compatibility.js"
import * as Admission from "./Admission.js"
import { type Bridge, methodOf } from "./Bridge.js"
import * as FrameFaults from "./FrameFaults.js"
import * as Status from "./Status.js"

/** Metadata a vibectl client sends of itself. */
export const clientVersionKey = "x-vibectl-client-version"
export const featuresKey = "x-vibectl-features"

export interface Options {
  /** Undefined switches authentication off: everybody is `anonymous`, or whom their certificate names. */
  readonly tokens: Tokens["Type"] | undefined
  readonly access: AccessRules.AccessRules
  readonly audit: Audit["Type"]
}

export interface Authentication {
  readonly interceptor: Grpc.ServerInterceptor
  /** Ends the calls of callers that are trusted no longer; runs as long as the server. */
  readonly watch: Effect.Effect<void>
}

export const make = (bridge: Bridge, options: Options): Authentication => {
  const running = Admission.running()
  const { audit } = options

  const refuse = (call: Grpc.ServerInterceptingCallInterface, rpc: string, error: ProxyError) =>
    Effect.logInfo("call refused").pipe(
      Effect.annotateLogs({ rpc, peer: call.getPeer(), outcome: error.reason }),
      Effect.zipRight(ProxyMetrics.calls(methodOf(rpc), error.reason))
    )

  const interceptor: Grpc.ServerInterceptor = ({ path: rpc }, call) => {
    FrameFaults.mend(call, (error) => bridge.fork(refuse(call, rpc, error)))
    if (rpc.startsWith(healthPrefix)) return new Grpc.ServerInterceptingCall(call)
    let [left, admitted] = [false, undefined as Grpc.Metadata | undefined]
    return new Grpc.ServerInterceptingCall(call, {
      start: (listen) =>
        listen({
          onReceiveMetadata: (metadata, next) => {
            const peer = call.getPeer()
            const told = { rpc, peer }
            bridge.fork(Effect.matchEffect(identify(metadata, options), {
              onSuccess: (identified) =>
                Effect.suspend(() => {
                  const { caller, recheck } = identified
                  const cut = (error: Unauthenticated) => call.sendStatus(Status.fromError(error))
                  admitted = metadata
                  running.add(metadata, { caller, rpc, peer, recheck, cut })
                  if (left) running.remove(metadata)
                  const pass = Effect.sync(() => next(metadata))
                  return options.tokens === undefined
                    ? pass
                    : Effect.zipRight(audit.record({ event: "token_accepted", ...identified.holder, ...told }), pass)
                }),
              onFailure: ({ error, holder }) =>
                audit.record({
                  event: "token_refused",
                  refusal: refusalOf(error),
                  reason: error.reason,
                  ...holder,
                  ...told
                }).pipe(
                  Effect.zipRight(refuse(call, rpc, error)),
                  Effect.zipRight(Effect.sync(() => call.sendStatus(Status.fromError(error))))
                )
            }))
          },
          onCancel: () => {
            left = true
            if (admitted !== undefined) running.remove(admitted)
          }
        })
    })
  }

  const sweep = Effect.flatMap(
    running.recheck,
    (cut) =>
      Effect.forEach(
        cut,
        ({ caller, peer, rpc }) => audit.record({ event: "stream_cut", ...holderOf(caller), rpc, peer }),
        { discard: true }
      )
  )

  return {
    interceptor,
    watch: options.tokens === undefined ? Effect.never : Stream.runForEach(options.tokens.changes, () => sweep)
  }
}

/** The caller of a call that passed the interceptor, and is trusted still. */
export const callerOf = (metadata: Grpc.Metadata): Effect.Effect<Caller, Unauthenticated> =>
  Effect.suspend(() => {
    const admitted = Admission.of(metadata)
    return admitted === undefined ? Claims.refused("no_token") : Effect.as(admitted.recheck, admitted.caller)
  })

// -- internals ---------------------------------------------------------------

const healthPrefix = "/grpc.health.v1.Health/"

type Refused = Unauthenticated | IdentityUnavailable | VersionIncompatible

/** A caller, and what the audit log says of its token. */
interface Identified {
  readonly caller: Caller
  readonly holder: Holder
  readonly recheck: Effect.Effect<void, Unauthenticated>
}

interface Holder {
  readonly subject: string
  readonly token_id?: string
  readonly key_id?: string
  readonly issuer?: string
}

/** `holder` where the signature of the token was good. */
interface NotIdentified {
  readonly error: Refused
  readonly holder?: Holder
}

const identify = (metadata: Grpc.Metadata, { access, tokens }: Options): Effect.Effect<Identified, NotIdentified> =>
  Effect.gen(function*() {
    const claims = tokens === undefined ? undefined : yield* Effect.mapError(
      Effect.flatMap(Bearer.parse(text(metadata, "authorization")), tokens.verify),
      (error): NotIdentified => ({
        error,
        ..."holder" in error && error.holder !== undefined ? { holder: holderOf(error.holder) } : {}
      })
    )
    const caller = {
      subject: claims?.subject ?? anonymous.subject,
      tokenId: claims?.tokenId,
      access: access(claims ?? anonymous),
      features: declared(text(metadata, featuresKey)),
      deadline: Infinity
    }
    const holder = { ...holderOf(caller), ...keyOf(claims) }
    const version = text(metadata, clientVersionKey)
    if (version !== undefined) {
      const verdict = Compatibility.compare(version, packageVersion)
      if (verdict._tag === "Incompatible") return yield* Effect.fail({ error: verdict.error, holder })
    }
    const recheck = claims === undefined || tokens === undefined ? Effect.void : tokens.recheck(claims)
    return { caller, holder, recheck }
  })

const holderOf = ({ subject, tokenId }: { readonly subject: string; readonly tokenId: string | undefined }): Holder =>
  tokenId === undefined ? { subject } : { subject, token_id: tokenId }

const keyOf = (claims: Claims.Claims | undefined) => ({
  ...claims?.keyId === undefined ? {} : { key_id: claims.keyId },
  ...claims?.issuer === undefined ? {} : { issuer: claims.issuer }
})

const anonymous = AccessRules.holderOf("anonymous")

const refusalOf = (error: Refused) =>
  error._tag === "Unauthenticated"
    ? error.refusal
    : error._tag === "IdentityUnavailable"
    ? "identity_unavailable"
    : "version_incompatible"

/** One value; several of the same key are joined as HTTP does (RFC 9110, section 5.3). */
const text = (metadata: Grpc.Metadata, key: string): string | undefined => {
  const values = metadata.get(key)
  return values.length === 0 ? undefined : values.join(", ")
}

const declared = (header: string | undefined): ReadonlySet<Feature> => {
  const names = header?.split(",").map((name) => name.trim()) ?? []
  return new Set(features.filter((feature) => names.includes(feature)))
}
