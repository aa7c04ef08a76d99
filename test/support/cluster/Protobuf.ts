/**
 * Bodies in Kubernetes' protobuf, in which kubectl 1.32 writes what it makes itself: `create configmap`, `auth can-i` …
 * Of each kind, the fields that those commands fill.
 *
 * Source: https://github.com/kubernetes/api, generated.proto of each group.
 */
import protobuf from "protobufjs"
import { isObject, type Json } from "./Json.js"

/** The object as JSON has it; undefined for another kind of body. */
export const decode = (body: Buffer): Json | undefined => {
  if (body.subarray(0, 4).toString("latin1") !== "k8s\0") return undefined
  const { raw, typeMeta } = read("Unknown", body.subarray(4))
  const { apiVersion, kind } = isObject(typeMeta) ? typeMeta : {}
  const type = root.get(String(kind))
  if (!(type instanceof protobuf.Type) || !Buffer.isBuffer(raw)) return undefined
  return { apiVersion, kind, ...read(type.name, raw) }
}

// -- internals ---------------------------------------------------------------

const read = (name: string, bytes: Buffer): Json => {
  const type = root.lookupType(name)
  // Bytes are base64 in JSON; those that are a message are read on.
  return type.toObject(type.decode(bytes), name === "Unknown" ? {} : { bytes: String })
}

const { root } = protobuf.parse(
  `
syntax = "proto2";
message Unknown { optional TypeMeta typeMeta = 1; optional bytes raw = 2; }
message TypeMeta { optional string apiVersion = 1; optional string kind = 2; }
message ObjectMeta {
  optional string name = 1; optional string namespace = 3;
  map<string, string> labels = 11; map<string, string> annotations = 12;
}
message ConfigMap { optional ObjectMeta metadata = 1; map<string, string> data = 2; }
message Secret { optional ObjectMeta metadata = 1; map<string, bytes> data = 2; optional string type = 3; }
message Namespace { optional ObjectMeta metadata = 1; }
message ServiceAccount { optional ObjectMeta metadata = 1; }
message Service { optional ObjectMeta metadata = 1; optional ServiceSpec spec = 2; }
message ServiceSpec { repeated ServicePort ports = 1; map<string, string> selector = 2; optional string type = 4; }
message ServicePort { optional string name = 1; optional string protocol = 2; optional int32 port = 3; }
message Deployment { optional ObjectMeta metadata = 1; optional DeploymentSpec spec = 2; }
message DeploymentSpec {
  optional int32 replicas = 1; optional LabelSelector selector = 2; optional PodTemplate template = 3;
}
message LabelSelector { map<string, string> matchLabels = 1; }
message Job { optional ObjectMeta metadata = 1; optional JobSpec spec = 2; }
message JobSpec { optional PodTemplate template = 6; }
message PodTemplate { optional ObjectMeta metadata = 1; optional PodSpec spec = 2; }
message PodSpec { repeated Container containers = 2; optional string restartPolicy = 3; }
message Container {
  optional string name = 1; optional string image = 2; repeated string command = 3; repeated string args = 4;
  repeated ContainerPort ports = 6;
}
message ContainerPort { optional int32 containerPort = 3; optional string protocol = 4; }
message DeleteOptions { optional string propagationPolicy = 4; repeated string dryRun = 5; }
message SelfSubjectAccessReview { optional ReviewSpec spec = 2; }
message ReviewSpec { optional ResourceAttributes resourceAttributes = 1; }
message ResourceAttributes {
  optional string namespace = 1; optional string verb = 2; optional string group = 3; optional string version = 4;
  optional string resource = 5; optional string subresource = 6; optional string name = 7;
}
`,
  { keepCase: true }
)
