/**
 * The verbs of kubectl 1.32 that do more than read, what each of them does, and
 * whether a configuration may let it run unasked.
 *
 * Always asked for are those that run programs (`exec`, `debug`), reach this
 * machine (`cp`, `port-forward`, `kustomize`), change what kubectl connects to
 * (`config …`), hand out access (`create token`, `certificate approve`) or need
 * the terminal.
 */
import { everywhere, files, make, print, select, type Verb } from "./Verb.js"

const table: Array<Verb> = []

export const changingVerbs: ReadonlyArray<Verb> = table

// -- internals ---------------------------------------------------------------

const acts =
  (effect: "changes" | "destroys", asked: boolean, terminal = false) =>
  (name: string, does: string, flags = ""): void => {
    table.push(make(name, flags, { effect, does, harmless: new Set<string>(), asked, terminal }))
  }
const changes = acts("changes", false)
const destroys = acts("destroys", false)
const reaches = acts("changes", true)
const commands = acts("destroys", true)
const tunnels = acts("changes", true, true)
const holds = acts("destroys", true, true)

const made = `${print} dry-run~ field-manager`
const makes = `${made} save-config? validate~`

changes("create", "creates what a manifest says", `${makes} ${files} edit? raw ${select} windows-line-endings?`)
for (
  const [kind, flags] of Object.entries({
    clusterrole: "aggregation-rule non-resource-url resource resource-name verb",
    clusterrolebinding: "clusterrole group serviceaccount user",
    configmap: "append-hash? from-env-file from-file from-literal",
    cronjob: "image restart schedule",
    deployment: "image port replicas|r",
    ingress: "annotation class default-backend rule",
    job: "from image",
    namespace: "",
    poddisruptionbudget: "max-unavailable min-available selector",
    priorityclass: "description global-default? preemption-policy value",
    quota: "hard scopes",
    role: "resource resource-name verb",
    rolebinding: "clusterrole group role serviceaccount user",
    "secret docker-registry": "append-hash? docker-email docker-password docker-server docker-username from-file",
    "secret generic": "append-hash? from-env-file from-file from-literal type",
    "secret tls": "append-hash? cert key",
    "service clusterip": "clusterip tcp",
    "service externalname": "external-name tcp",
    "service loadbalancer": "tcp",
    "service nodeport": "node-port tcp",
    serviceaccount: ""
  })
) changes(`create ${kind}`, `makes a ${kind}`, `${makes} ${flags}`)
reaches(
  "create token",
  "prints a token that others can use",
  `${print} audience bound-object-kind bound-object-name bound-object-uid duration`
)
changes(
  "expose",
  "makes a service",
  `${made} save-config? ${files} cluster-ip external-ip labels|l load-balancer-ip name override-type overrides port protocol
  selector session-affinity target-port type`
)
changes(
  "run",
  "starts a pod",
  `${made} save-config? ${files} annotations attach? cascade~ command? env expose? force? grace-period image image-pull-policy
  labels|l leave-stdin-open? override-type overrides pod-running-timeout port privileged? quiet|q? restart rm?
  stdin|i? timeout tty|t? wait?`
)
changes(
  "apply",
  "changes resources to what a manifest says",
  `${made} validate~ ${files} all? cascade~ force? force-conflicts? grace-period openapi-patch? overwrite? prune?
  prune-allowlist ${select} server-side? subresource timeout wait?`
)
holds("apply edit-last-applied", "opens an editor", `${print} ${files} field-manager validate~ windows-line-endings?`)
changes("apply set-last-applied", "changes an annotation", `${print} create-annotation? dry-run~ filename|f`)
reaches("apply view-last-applied", "prints manifests, of Secrets too", `${files} all? output|o ${select}`)
changes("autoscale", "makes an autoscaler", `${made} save-config? ${files} cpu-percent max min name`)
changes(
  "scale",
  "changes how many replicas run",
  `${print} dry-run~ ${files} all? current-replicas replicas resource-version ${select} timeout`
)
const tagging = `${made} ${files} all? ${everywhere} field-selector list? local? overwrite? resource-version ${select}`
changes("label", "changes labels", tagging)
changes("annotate", "changes annotations", tagging)
changes("rollout pause", "pauses a rollout", `${print} ${files} field-manager ${select}`)
changes("rollout resume", "resumes a rollout", `${print} ${files} field-manager ${select}`)
changes("cordon", "keeps new pods from a node", `dry-run~ ${select}`)
changes("uncordon", "lets new pods on a node", `dry-run~ ${select}`)
changes(
  "diff",
  "runs diff, or the program that KUBECTL_EXTERNAL_DIFF names",
  `${files} concurrency field-manager force-conflicts? prune? prune-allowlist ${select} server-side?
  show-managed-fields?`
)
changes("completion", "prints a script for a shell")

destroys(
  "delete",
  "deletes resources",
  `${files} all? ${everywhere} cascade~ dry-run~ field-selector force? grace-period ignore-not-found? interactive|i?
  now? output|o raw ${select} timeout wait?`
)
destroys(
  "drain",
  "evicts every pod of a node",
  `chunk-size delete-emptydir-data? disable-eviction? dry-run~ force? grace-period ignore-daemonsets? pod-selector
  ${select} skip-wait-for-delete-timeout timeout`
)
destroys("taint", "can evict every pod of a node", `${made} validate~ all? overwrite? ${select}`)
destroys(
  "replace",
  "replaces whole resources",
  `${makes} ${files} cascade~ force? grace-period raw subresource timeout wait?`
)
destroys("patch", "changes resources in place", `${made} ${files} local? patch|p patch-file subresource type`)
destroys("rollout restart", "replaces every pod of a workload", `${print} ${files} field-manager ${select}`)
destroys("rollout undo", "puts an older revision in place", `${print} ${files} dry-run~ ${select} to-revision`)
destroys("certificate deny", "denies a certificate for good", `${print} ${files} force?`)
const sets = `${made} ${files} all? local?`
destroys(
  "set env",
  "changes running workloads",
  `${sets} containers|c env|e from keys list? overwrite? prefix resolve? ${select}`
)
destroys("set image", "changes running workloads", `${sets} ${select}`)
destroys("set resources", "changes running workloads", `${sets} containers|c limits requests ${select}`)
destroys(
  "set selector",
  "changes what a service reaches",
  `${made} all? filename|f local? recursive|R? resource-version`
)
destroys("set serviceaccount", "changes as whom workloads run", sets)
destroys("set subject", "changes who has permissions", `${sets} group ${select} serviceaccount user`)

reaches("certificate approve", "hands out a certificate", `${print} ${files} force?`)
reaches(
  "kustomize",
  "builds from files or URLs, and may run plugins",
  `as-current-user? enable-alpha-plugins? enable-helm? env|e helm-api-versions helm-command helm-debug?
  helm-kube-version load-restrictor mount network? network-name output|o`
)
reaches("plugin list", "looks for programs on this machine", "name-only?")
commands(
  "auth reconcile",
  "changes who has permissions",
  `${print} ${files} dry-run~ remove-extra-permissions? remove-extra-subjects?`
)
commands(
  "exec",
  "runs a program in a container",
  "container|c filename|f pod-running-timeout quiet|q? stdin|i? tty|t?"
)
commands("cp", "copies files between a container and this machine", "container|c no-preserve? retries")
commands(
  "debug",
  "starts a container that may see everything of a pod or a node",
  `arguments-only? attach? container|c copy-to custom env filename|f image image-pull-policy keep-annotations?
  keep-init-containers? keep-labels? keep-liveness? keep-readiness? keep-startup? profile quiet|q? replace? same-node?
  set-image share-processes? stdin|i? target tty|t?`
)
holds("attach", "takes over the terminal", "container|c pod-running-timeout quiet|q? stdin|i? tty|t?")
holds(
  "edit",
  "opens an editor",
  `${print} ${files} field-manager output-patch? save-config? subresource validate~ windows-line-endings?`
)
tunnels("port-forward", "opens ports on this machine until it is stopped", "address pod-running-timeout")
tunnels(
  "proxy",
  "opens the cluster to this machine until it is stopped",
  `accept-hosts accept-paths address api-prefix append-server-path? disable-filter? keepalive port|p reject-methods
  reject-paths unix-socket|u www|w www-prefix|P`
)
for (
  const [name, flags] of Object.entries({
    "delete-cluster": "",
    "delete-context": "",
    "delete-user": "",
    "rename-context": "",
    set: "set-raw-bytes?",
    "set-cluster": "certificate-authority embed-certs? insecure-skip-tls-verify? proxy-url server tls-server-name",
    "set-context": "cluster current? namespace user",
    "set-credentials": `auth-provider auth-provider-arg client-certificate client-key embed-certs? exec-api-version
      exec-arg exec-command exec-env exec-interactive-mode exec-provide-cluster-info? password token username`,
    unset: "",
    "use-context": ""
  })
) commands(`config ${name}`, "changes which cluster and identity kubectl uses", flags)
