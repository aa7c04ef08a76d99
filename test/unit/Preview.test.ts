import { assert, describe, it } from "@effect/vitest"
import * as Preview from "../../src/kubectl/Preview.js"
import { judge } from "../../src/kubectl/Safety.js"
import * as Plans from "../support/Plans.js"

describe("Preview.of", () => {
  const previews: ReadonlyArray<readonly [args: string, preview: string | undefined]> = [
    ["delete pod web-0", "get pod web-0 --output=name"],
    ["delete pod/web-0 svc/web -n prod", "get pod/web-0 svc/web --namespace=prod --output=name"],
    ["-n prod delete pod web-0 --grace-period=0 --force", "get pod web-0 --namespace=prod --output=name"],
    ["delete pods --all", "get pods --output=name"],
    ["delete pods -A --all", "get pods --all-namespaces --no-headers"],
    ["delete pods -A=false --all", "get pods --output=name"],
    ["delete pods -l app=web,x!=y -n a", "get pods --selector=app=web,x!=y --namespace=a --output=name"],
    ["delete po,svc --field-selector metadata.name!=x", "get po,svc --field-selector=metadata.name!=x --output=name"],
    ["delete secret db", "get secret db --output=name"],
    ["delete pod web-0 --dry-run=server", "get pod web-0 --output=name"],
    ["delete pod web-0 -v=3", "get pod web-0 --output=name"],
    ["delete pods", undefined],
    ["delete pods --all=false", undefined],
    ["delete", undefined],
    [
      "delete ns prod",
      "get all,configmaps,secrets,persistentvolumeclaims,ingresses --namespace=prod --output=name"
    ],
    [
      "delete namespace/prod",
      "get all,configmaps,secrets,persistentvolumeclaims,ingresses --namespace=prod --output=name"
    ],
    ["delete ns a b", "get ns a b --output=name"],
    ["delete NS prod", "get all,configmaps,secrets,persistentvolumeclaims,ingresses --namespace=prod --output=name"],
    ["delete ns a,b", "get ns a,b --output=name"],
    ["delete pod x -f y", undefined],
    ["delete pod x -k y", undefined],
    ["delete pod x --raw=/api", undefined],
    ["delete pod x --help=false", "get pod x --output=name"],
    ["set env deploy/x A=b -", "get deploy/x --output=name"],
    ["drain Node/n", "get pods --all-namespaces --field-selector=spec.nodeName=n --no-headers"],
    ["delete ns -l x=y", "get ns --selector=x=y --output=name"],
    ["delete -f x.yaml", undefined],
    ["delete -f -", undefined],
    ["delete -k .", undefined],
    ["delete --raw /api", undefined],
    ["delete pod x --context=prod", undefined],
    ["delete pod x -s http://evil", undefined],
    ["delete pod x --bogus", undefined],
    ["delete pod x -v=9", "get pod x --output=name"],
    ["delete pod x;id", undefined],
    ["delete pod -- x", undefined],
    ["delete pod x --help", undefined],
    ["delete pod x && id", undefined],
    ["drain node-1", "get pods --all-namespaces --field-selector=spec.nodeName=node-1 --no-headers"],
    [
      "drain node/n1.example --force --ignore-daemonsets",
      "get pods --all-namespaces --field-selector=spec.nodeName=n1.example --no-headers"
    ],
    [
      "drain n --pod-selector=app=x",
      "get pods --all-namespaces --field-selector=spec.nodeName=n --selector=app=x --no-headers"
    ],
    ["drain a b", "get nodes a b --output=name"],
    ["drain -l pool=x", "get nodes --selector=pool=x --output=name"],
    ["drain n,metadata.name=x", undefined],
    ["drain", undefined],
    ["cordon n", "get nodes n --output=name"],
    ["taint nodes n a=b:NoExecute", "get nodes n --output=name"],
    ["taint nodes n a:NoSchedule-", "get nodes n --output=name"],
    ["taint nodes --all a=b:NoExecute", "get nodes --output=name"],
    ["scale deploy/web --replicas=0 -n x", "get deploy/web --namespace=x --output=name"],
    ["scale deploy --all --replicas=0", "get deploy --output=name"],
    ["scale deploy --replicas=0", undefined],
    ["rollout restart deploy/web", "get deploy/web --output=name"],
    ["rollout restart deploy", "get deploy --output=name"],
    ["rollout undo deploy web", "get deploy web --output=name"],
    ["rollout restart", undefined],
    ["rollout pause deploy/web", undefined],
    ["patch deploy web -p {}", "get deploy web --output=name"],
    ["edit deploy/web", "get deploy/web --output=name"],
    ["set image deploy/web c=nginx:2 d=x", "get deploy/web --output=name"],
    ["set image deploy --all c=nginx:2", "get deploy --output=name"],
    ["set env deploy web A- B=c", "get deploy web --output=name"],
    ["set serviceaccount deploy web sa", "get deploy web --output=name"],
    ["set image -f - c=x", undefined],
    ["label pods web-0 a=b --overwrite", "get pods web-0 --output=name"],
    ["label pods --all a-", "get pods --output=name"],
    ["annotate pods a=b -l x=y", "get pods --selector=x=y --output=name"],
    ["label pods web-0 a=b --local", undefined],
    ["certificate deny csr-1", "get certificatesigningrequests csr-1 --output=name"],
    ["apply -f - --prune", undefined],
    ["replace -f -", undefined],
    ["exec p -- id", undefined],
    ["config unset x", undefined],
    ["get pods", undefined],
    ["foo x", undefined],
    ["kubectl delete pod x", undefined],
    ["delete pod x --namespace=-x", "get pod x --namespace=-x --output=name"]
  ]

  for (const [args, preview] of previews) {
    it(`${args} -> ${preview ?? "nothing"}`, () => {
      assert.strictEqual(Preview.of(args.split(" "))?.join(" "), preview)
    })
  }

  it("is read-only and goes nowhere else, whatever it is of", () => {
    const found = Plans.all.flatMap(({ args }) => Preview.of(args) ?? [])
    assert.isNotEmpty(found)
    for (const { args } of Plans.all) {
      const preview = Preview.of(args)
      if (preview === undefined) continue
      assert.deepStrictEqual(judge(preview), { _tag: "ReadOnly", verb: "get" }, args.join(" "))
    }
  })
})
