/**
 * Words that are no secret, wherever they stand: in the place of a value they
 * say something about it, and as a value of a Secret they are not looked for elsewhere.
 */
import * as Trim from "./Trim.js"

/** Whether `value` is too common to be replaced wherever it stands. */
export const isCommon = (value: string): boolean => {
  const word = value.toLowerCase()
  return ordinary.has(word) || everyday.has(word) || /^(.)\1*$/.test(value) || dull.test(value)
}

/** What is said of a secret and not the secret itself: `expired`, `true`, `REDACTED`. */
export const isOrdinary = (word: string): boolean => ordinary.has(word.toLowerCase())

/** Whether a person wrote this as a sentence, and not somebody's pass phrase. */
export const isProse = (text: string): boolean => {
  const words = text.toLowerCase().split(/\s+/, 64).map((word) => Trim.end(word.replace(/^["'(]/, ""), "\"').,;:!?"))
  if (words.length < 2 || words.some((word) => !/^[a-z'’-]*$/.test(word))) return false
  return words.some((word) => ordinary.has(word) || (words.length > 2 && joining.has(word)))
}

// -- internals ---------------------------------------------------------------

const list = (words: string) => new Set(words.trim().split(/\s+/))

/** Numbers with few digits, names of versions, addresses, times. */
const dull = /^(?:\d{1,7}|v\d+(?:(?:alpha|beta)\d+)?|\d{1,3}(?:\.\d{1,3}){3}|\d{4}-\d\d-\d\d(?:T[\d:.]+Z?)?)$/

const ordinary = list(`
  true false yes no on off null nil none undefined unset empty default unknown enabled disabled enable disable always never
  redacted omitted hidden masked removed sanitized data+omitted required optional missing invalid valid expired revoked wrong incorrect
  rejected denied accepted allowed forbidden unauthorized unauthenticated authenticated authentication authorization failed failure
  success successful succeeded ok error errors warning mismatch malformed provided given found stored saved generated rotated created
  updated deleted changed unchanged reset set not is was are has have must should cannot can't could couldn't does doesn't unable
  password passwords passwd passphrase pass secret secrets token tokens key keys apikey credential credentials auth bearer basic
  string bytes byte object type number integer boolean bool text file env value values name names path context deadline connection
  unexpected unsupported signature permission permissions access client server request response header please enter`)

const joining = list(`
  the a an and or of to for in on at by with from without into is are was were be been has have had must may can could should will
  would not no your you we it its this that these those when if because but as than then please which who only use used using see`)

/** Names that software comes with, and words that manifests and logs are full of. */
const everyday = list(`
  admin administrator root user users username guest test testing example sample demo changeme postgres postgresql mysql mariadb
  mongodb mongo redis rabbitmq kafka elastic elasticsearch kibana grafana prometheus nginx apache tomcat oracle sqlite mssql localhost
  database backend frontend service services server client master slave primary replica replicas secondary worker system public private
  internal external global local production development staging cluster namespace namespaces kubernetes kubectl kubelet opaque docker
  containerd registry deployment deployments daemonset statefulset replicaset configmap configmaps volume volumes volumemount mount
  container containers image images ingress egress endpoint endpoints pod pods node nodes status metadata labels annotations selector
  template running pending succeeded completed terminated waiting unknown ready control-plane kube-system kube-public kube-node-lease
  kube-proxy coredns apiversion latest stable release develop main info debug trace notice fatal normal warning events event reason
  message account accounts serviceaccount email e-mail domain subject issuer audience scope scopes profile openid region zone bucket
  storage standard require prefer verify-full verify-ca disable enabled us-east-1 us-west-2 eu-west-1 eu-central-1`)
