/**
 * The variables that Kubernetes sets in every container of a namespace, for each Service there: those of a Service whose
 * name is `vibectl` or begins with `vibectl-` look like ours.
 * Source: https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
 */

/**
 * Whether the variable `VIBECTL_<rest>` with this value is one of them. The value decides where the name alone could be
 * a mistyped setting: `VIBECTL_SERVER_PORT` is `tcp://…` for a Service, and a number for a person.
 */
export const sets = (rest: string, value: string): boolean =>
  forms.some(([name, content]) => name.test(rest) && content.test(value))

// -- internals ---------------------------------------------------------------

/** An IPv4 or IPv6 address. */
const address = /^[0-9.]+$|^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$/
const port = /^[0-9]{1,5}$/
const url = /^(tcp|udp|sctp):\/\/\S+:[0-9]{1,5}$/
const protocol = /^(tcp|udp|sctp)$/

/** What follows the Service's own name, which is empty after the prefix for one that is called `vibectl`. */
const forms: ReadonlyArray<readonly [RegExp, RegExp]> = [
  [/(^|_)SERVICE_HOST$/, address],
  [/(^|_)SERVICE_PORT(_[A-Z0-9_]+)?$/, port],
  [/(^|_)PORT$/, url],
  [/(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)$/, url],
  [/(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)_ADDR$/, address],
  [/(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)_PORT$/, port],
  [/(^|_)PORT_[0-9]+_(TCP|UDP|SCTP)_PROTO$/, protocol]
]
