/**
 * What kinds of secrets there are, and how a finding is told.
 */

export type Kind =
  /** Of a key that says so: `DB_PASSWORD=…`, `password: …`, `--password …`; hashes of passwords too. */
  | "password"
  /** Tokens of service accounts, JWTs, bootstrap tokens, `token=` in an URL. */
  | "token"
  /** Of a key like `API_KEY`, `SECRET_KEY`, `AccountKey`. */
  | "key"
  | "private-key"
  | "certificate"
  /** A value of `data` or `stringData` of a Kubernetes Secret. */
  | "secret-data"
  /** The password in `postgres://user:password@host`. */
  | "connection-password"
  /** What a provider's own shape gives away: `AKIA…`, `ghp_…`, `sk-…`. */
  | "provider-key"
  /** What follows `Authorization:`, `Bearer` or `Basic`. */
  | "authorization"
  /** `auth` of a Docker configuration. */
  | "registry-auth"
  | "cookie"
  /** A run of characters too long to be looked at as a whole. */
  | "opaque"

/** Typed by the user, or read from the cluster or a file. */
export type Source = "request" | "cluster"

/** How a text is read: as of its source, or as the contents of a Secret in any form, of which every value is one. */
export type Reading = Source | "secret"

export interface Finding {
  readonly kind: Kind
  readonly placeholder: string
  /** UTF-16 code units of the secret. */
  readonly length: number
}

/** Feeds text in pieces; what is given out never ends inside of something that may be a secret (or a placeholder). */
export interface Filter {
  readonly push: (piece: string) => string
  readonly end: () => string
}
