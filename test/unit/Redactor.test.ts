import { assert, describe, it } from "@effect/vitest"
import { Redacted } from "effect"
import type { Finding } from "../../src/redaction/Kinds.js"
import * as Redactor from "../../src/redaction/Redactor.js"
import * as Vault from "../../src/redaction/Vault.js"
import * as Corpora from "../support/Corpora.js"
import * as Property from "../support/Property.js"

const make = (key = "k") => Redactor.make({ key: Redacted.make(key) })
const redact = (text: string) => make().redact(text, "cluster").text
const placeholder = /\{\{redacted:[a-z-]+:[0-9a-f]{8,}\}\}/g

/** What is between the placeholders, to say what a text should look like. */
const outline = (text: string) => redact(text).replace(placeholder, "▮")

/** Pieces of `secret` that stand in `text`: all of a short one, any eight characters of a long one. */
const leaks = (secret: string, text: string) => {
  if (secret.length < 12) return text.includes(secret) ? [secret] : []
  return Array.from({ length: secret.length - 7 }, (_, at) => secret.slice(at, at + 8))
    .filter((part) => text.includes(part))
}

const joined = (filter: Redactor.Filter, pieces: ReadonlyArray<string>) =>
  pieces.map((piece) => filter.push(piece)).join("") + filter.end()

const base64 = (text: string) => Buffer.from(text).toString("base64")

describe("Redactor.redact", () => {
  for (const { name, secrets, text } of Corpora.read("secrets")) {
    it(`hides ${name}`, () => {
      const redactor = make()
      const { findings, text: redacted } = redactor.redact(text, "cluster")
      assert.deepStrictEqual(secrets.flatMap((secret) => leaks(secret, redacted)), [])
      assert.isAtLeast(secrets.length, 1)
      assert.isAtLeast(findings.length, 1)
      assert.strictEqual(redactor.restore(redacted), text)
      assert.strictEqual(redactor.redact(redacted, "cluster").text, redacted, "a second time changes nothing")
      const kept = findings.reduce((sum, { length }) => sum + length, 0)
      assert.strictEqual(redacted.replace(placeholder, "").length, text.length - kept, "findings tell what was taken")
    })
  }

  for (const { name, text } of Corpora.read("harmless")) {
    it(`leaves ${name}`, () => {
      assert.strictEqual(redact(text), text)
    })
  }

  it("has enough to read", () => {
    assert.isAtLeast(Corpora.read("secrets").length, 100)
    assert.isAtLeast(Corpora.read("harmless").length, 85)
  })

  it("hides the secrets and nothing around them", () => {
    const cases: ReadonlyArray<readonly [string, string]> = [
      ["postgres://app:pw12@db:5432/app?x=1", "postgres://app:▮@db:5432/app?x=1"],
      ["Authorization: Bearer abc123", "Authorization: Bearer ▮"],
      ["a --password=hunter2 b", "a --password=▮ b"],
      ["a --password hunter2 b", "a --password ▮ b"],
      ["?a=1&token=abc.def-123&b=2 end", "?a=1&token=▮&b=2 end"],
      ["Password=ab;cd;Server=x", "Password=▮;Server=x"],
      ["{\"password\":\"a\\\"b\",\"c\":1}", "{\"password\":\"▮\",\"c\":1}"],
      ["\"{\\\"password\\\":\\\"a b\\\",\\\"c\\\":1}\"", "\"{\\\"password\\\":\\\"▮\\\",\\\"c\\\":1}\""],
      ["\"password=abc12\\nuser=bob\"", "\"password=▮\\nuser=bob\""],
      ["map[password:hunter2 user:x]", "map[password:▮ user:x]"],
      ["  password: a b c1  # note", "  password: ▮  # note"],
      ["apiVersion: v1\ndata:\n  a: 'YWJj' # x\nkind: Secret", "apiVersion: v1\ndata:\n  a: '▮' # x\nkind: Secret"],
      ["kind: Secret\r\nstringData:\r\n  a: b\r\n", "kind: Secret\r\nstringData:\r\n  a: ▮\r\n"],
      ["auth: {password: hunter2, user: bob}", "auth: {password: ▮, user: bob}"],
      ["<token>abc123</token>", "<token>▮</token>"],
      ["{\"key\":\"DB_PASSWORD\",\"value\":\"x y\"}", "{\"key\":\"DB_PASSWORD\",\"value\":\"▮\"}"],
      ["{\"Value\":\"x y\",\"Name\":\"DB_PASSWORD\"}", "{\"Value\":\"▮\",\"Name\":\"DB_PASSWORD\"}"],
      ["{\"value\":\"x y\",\"name\":\"MODE\"}", "{\"value\":\"x y\",\"name\":\"MODE\"}"],
      ["create it with password hunter2, please", "create it with password ▮, please"],
      ["Zm9yZXN0LTQyLXJhaW4=", "▮"],
      ["aHVudGVyMg==", "▮"],
      ["x `mysql password=hunter2`; y", "x `mysql password=▮`; y"],
      ["`password = hunter2`;", "`password = ▮`;"],
      ["password=`hunter2`;", "password=`▮`;"],
      ["<a>password=x1y2</a>", "<a>password=▮</a>"],
      ["x 'password=x1y2' y", "x 'password=▮' y"],
      ["`password=x1y2`;", "`password=▮`;"],
      ["map[name:DB_PASSWORD value:hunter] x", "map[name:DB_PASSWORD value:▮] x"],
      ["<add key=\"DbPassword\" value=\"hunter\" />", "<add key=\"DbPassword\" value=\"▮\" />"],
      ["{kind: Secret, data: {a: hunter, b: 'x y'}}", "{kind: Secret, data: {a: ▮, b: '▮'}}"],
      ["DB_PASSWORD\thunter\tweb", "DB_PASSWORD\t▮\tweb"],
      ["  cHcxMg==\r\n", "  ▮\r\n"],
      ["a3cxMmE=", "▮"],
      ["aHVudGVyMjIy", "▮"],
      ["a aHVudGVyMjIy", "a aHVudGVyMjIy"],
      ["YWJjZA==", "YWJjZA=="],
      ["{\"data\":{\"a\":\"x y\"},\"type\":\"Opaque\"}", "{\"data\":{\"a\":\"▮\"},\"type\":\"Opaque\"}"],
      ["{\"data\":{\"a\":\"x y\"},\"type\":\"other\"}", "{\"data\":{\"a\":\"x y\"},\"type\":\"other\"}"],
      [
        "{\"kind\":\"Secret\",\"stringData\":{\"a\":\"x\\\"y zz\"}}",
        "{\"kind\":\"Secret\",\"stringData\":{\"a\":\"▮\"}}"
      ],
      [
        "apiVersion: v1\nstringData:\n  a: |\n    b c\n\n    d\n  e: f\nkind: Secret",
        "apiVersion: v1\nstringData:\n  a: |\n    ▮\n  e: ▮\nkind: Secret"
      ],
      [
        "kind: Secret\nstringData:\n  a: |\n    b c\n    d\nmetadata: {}",
        "kind: Secret\nstringData:\n  a: |\n    ▮\nmetadata: {}"
      ],
      ["password:\n----\nfirst x\nsecond x\n\nother: y", "password:\n----\n▮\n▮\n\nother: y"],
      ["DB_PASSWORD=wal7nut and wal7nut", "DB_PASSWORD=▮ and ▮"]
    ]
    for (const [text, expected] of cases) assert.strictEqual(outline(text), expected)
  })

  it("takes a PEM block for one secret, however it is written", () => {
    const key = (end: string) =>
      ["-----BEGIN", " EC PRIVATE KEY-----", end, "MHcCAQEEII", end, "-----END EC PRIVATE KEY-----"].join("")
    assert.strictEqual(outline(`a ${key("\n")} b`), "a ▮ b")
    assert.strictEqual(outline(`a "${key("\\n")}\\n" b`), "a \"▮\\n\" b")
    assert.strictEqual(outline(`a ${base64(key("\n"))} b`), "a ▮ b")
    assert.strictEqual(outline(`k: |\n  ${key("\n  ")}\nb: c`), "k: |\n  ▮\nb: c")
    assert.deepStrictEqual(make().redact(key("\n"), "cluster").findings.map(({ kind }) => kind), ["private-key"])
  })

  it("hides a value wherever it stands after it was found, decoded too", () => {
    const redactor = make()
    redactor.redact(`apiVersion: v1\ndata:\n  x: ${base64("marble-otter-22")}\nkind: Secret`, "cluster")
    redactor.redact("DB_PASSWORD=cobalt\"fern", "request")
    redactor.redact("{\"password\":\"quartz\\\"gate\"}", "request")
    const later = redactor.redact("a marble-otter-22b {\"c\":\"quartz\\\"gate\"} quartz\"gate", "cluster").text
    assert.strictEqual(later.replace(placeholder, "▮"), "a ▮b {\"c\":\"▮\"} ▮")
    const encoded = redactor.redact(`x ${base64("marble-otter-22")}`, "request").text
    assert.strictEqual(encoded.replace(placeholder, "▮"), "x ▮")
    redactor.redact("DB_PASSWORD=walnut-harbor", "request")
    assert.strictEqual(
      redactor.redact(`x ${base64("walnut-harbor")} y`, "cluster").text.replace(placeholder, "▮"),
      "x ▮ y"
    )
  })

  it("takes the longest of the values that stand in one place", () => {
    const redactor = make()
    redactor.redact("DB_PASSWORD=abcdef12\nDB_PASSWORD=abcdef1234\nDB_PASSWORD=abcdef123", "request")
    const { findings } = redactor.redact("x abcdef1234 abcdef12", "cluster")
    assert.deepStrictEqual(findings.map(({ length }) => length), [10, 8])
  })

  it("does not look for words that are common, or short", () => {
    const redactor = make()
    const values = ["true", "default", "admin", "postgres", "abc12", "8080", "aaaaaaaaa", "10.0.0.1"]
    redactor.redact(
      ["kind: Secret", "stringData:", ...values.map((value, index) => `  k${index}: ${value}`)].join("\n"),
      "cluster"
    )
    const text = values.join(" and ")
    assert.strictEqual(redactor.redact(text, "cluster").text, text)
  })

  it("tells what it found, in order, each time", () => {
    const redactor = make()
    const { findings, text } = redactor.redact("password: hunter2 a\ntoken=abc.def-123\npassword: hunter2 a", "request")
    assert.deepStrictEqual(findings.map(({ kind, length }) => [kind, length]), [["password", 9], ["token", 11], [
      "password",
      9
    ]])
    assert.deepStrictEqual(findings.map((finding) => finding.placeholder), text.match(placeholder))
  })

  it("names kinds", () => {
    const kinds: ReadonlyArray<readonly [string, string]> = [
      ["password: hunter2", "password"],
      ["token: abcdef.0123456789abcdef", "token"],
      ["API_KEY=abc", "key"],
      ["-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----", "certificate"],
      ["kind: Secret\ndata:\n  a: YWJj", "secret-data"],
      ["redis://:abc1@redis", "connection-password"],
      [`x ${"AKIA"}IOSFODNN7EXAMPLE`, "provider-key"],
      ["Authorization: Basic YTpi", "authorization"],
      [`"auth": "${base64("bob:hunter2")}"`, "registry-auth"],
      ["Cookie: a=b", "cookie"],
      ["x".repeat(70_000), "opaque"]
    ]
    for (const [text, kind] of kinds) {
      assert.strictEqual(make().redact(text, "cluster").findings[0]?.kind, kind, text.slice(0, 40))
    }
  })
})

describe("what a user asks for", () => {
  const rows: ReadonlyArray<readonly [string, string]> = [
    ["use api key hunter22", "use api key ▮"],
    ["use token abc123def, please", "use token ▮, please"],
    ["password should be 'hunter'", "password should be '▮'"],
    ["set the password to \"my pass\"", "set the password to \"▮\""],
    ["the password must be hunter2.", "the password must be ▮."],
    ["login with joe / hunter", "login with joe / ▮"],
    ["log in as joe: hunter2, please", "log in as joe: ▮, please"],
    ["Passwort: hunter", "Passwort: ▮"],
    ["das Passwort lautet hunter2", "das Passwort lautet ▮"],
    ["show secret billing-db-2", "show secret billing-db-2"],
    ["scale token service to 3", "scale token service to 3"],
    ["log in as bob", "log in as bob"],
    ["login with bob / password", "login with bob / password"],
    ["rotate the api key of stripe", "rotate the api key of stripe"],
    ["the secret kubernetes.io/x1 and token shop/web1", "the secret kubernetes.io/x1 and token shop/web1"]
  ]
  for (const [text, expected] of rows) {
    it(text, () => assert.strictEqual(make().redact(text, "request").text.replace(placeholder, "▮"), expected))
  }

  it("is looked for in requests only", () => {
    assert.strictEqual(redact("use api key hunter22"), "use api key hunter22")
  })
})

describe("placeholders", () => {
  it("are the same in every run with one key, and others with another", () => {
    const text = "password: hunter2\nurl: postgres://a:b1b1@c"
    assert.strictEqual(make().redact(text, "cluster").text, make().redact(text, "request").text)
    assert.notStrictEqual(make().redact(text, "cluster").text, make("other").redact(text, "cluster").text)
  })

  it("are the same for one value, wherever and as whatever it is found", () => {
    const { findings } = make().redact(
      "password: hunter22\nAPI_KEY=hunter22\npostgres://a:hunter22@b x hunter22",
      "cluster"
    )
    assert.strictEqual(findings.length, 4)
    assert.strictEqual(new Set(findings.map((finding) => finding.placeholder)).size, 1)
  })

  it("are never shared: where eight digits do not suffice, there are more", () => {
    const vault = Vault.make(Redacted.make("k"))
    // The first two of "v0", "v1" and so on whose placeholders would be the same.
    const [one, other] = ["v18815", "v91032"].map((value) => vault.protect(value, "token", "cluster").placeholder)
    assert.strictEqual(one, "{{redacted:token:13b1f076}}")
    assert.match(other!, /^\{\{redacted:token:13b1f076[0-9a-f]\}\}$/)
    assert.strictEqual(vault.find(one!)?.value, "v18815")
    assert.strictEqual(vault.find(other!)?.value, "v91032")
    assert.strictEqual(vault.protect("v91032", "token", "cluster").placeholder, other)
  })

  it("differ for values that are equal in UTF-8 only", () => {
    const vault = Vault.make(Redacted.make("k"))
    assert.notStrictEqual(
      vault.protect("\ud83d", "token", "cluster").placeholder,
      vault.protect("\ud83e", "token", "cluster").placeholder
    )
  })

  it("of others pass, and are not restored", () => {
    const text = "password: {{redacted:password:deadbeef}} x={{redacted:token:0123456789abcdef}} {{redacted:password:"
    const redactor = make()
    assert.deepStrictEqual(redactor.redact(text, "cluster"), { text, findings: [] })
    assert.strictEqual(redactor.restore(text), text)
    assert.deepStrictEqual(redactor.mentioned(text), [])
  })

  it("are left alone when a secret is a part of their text", () => {
    const redactor = make()
    const text = "say {{redacted:password:deadbeef}}"
    const together = redactor.redact(
      `kind: Secret\nstringData:\n  a: redacted:password\n  b: |\n    {{redacted:password:deadbeef}}\nc: d\n${text}`,
      "cluster"
    )
    assert.isTrue(together.text.endsWith(text))
    assert.strictEqual(redactor.redact(`DB_PASSWORD=abc123 ${text}`, "cluster").text.slice(-text.length), text)
    assert.strictEqual(redactor.redact(text, "cluster").text, text)
  })

  it("keep what stands around them, inside of one value", () => {
    const redactor = make()
    const text = "password: ab{{redacted:password:deadbeef}}cd"
    const redacted = redactor.redact(text, "cluster").text
    assert.match(
      redacted,
      /^password: \{\{redacted:password:[0-9a-f]{8}\}\}\{\{redacted:password:deadbeef\}\}\{\{redacted:password:[0-9a-f]{8}\}\}$/
    )
    assert.strictEqual(redactor.restore(redacted), text)
  })

  it("are told with where the secret came from: whatever the user has typed is of the user", () => {
    const redactor = make()
    const { text } = redactor.redact("password: hunter2\ntoken: abc.def-123", "cluster")
    assert.deepStrictEqual(redactor.mentioned(`${text} ${text}`).map(({ kind, source }) => [kind, source]), [[
      "password",
      "cluster"
    ], ["token", "cluster"]])
    redactor.redact("use hunter2", "request")
    redactor.redact("password: hunter2", "cluster")
    assert.deepStrictEqual(redactor.mentioned(text).map(({ source }) => source), ["request", "cluster"])
  })
})

describe("Redactor.restore", () => {
  it("puts back what belongs to it, once", () => {
    const redactor = make()
    const [first] = redactor.redact("password: hunter2", "request").findings
    assert.isDefined(first)
    const nested = redactor.redact(`kind: Secret\nstringData:\n  a: "x ${first.placeholder}"`, "cluster").text
    assert.strictEqual(redactor.restore(nested), "kind: Secret\nstringData:\n  a: \"x hunter2\"")
    assert.strictEqual(redactor.restore(`${first.placeholder}${first.placeholder}`), "hunter2hunter2")
    assert.strictEqual(make().restore(first.placeholder), first.placeholder)
  })

  it("does not restore what a secret says", () => {
    const redactor = make()
    const { findings } = redactor.redact("password: hunter2\nDB_PASSWORD={{redacted:password:}}", "request")
    assert.strictEqual(findings.length, 1)
  })
})

describe("Redactor.none", () => {
  it("passes everything through", () => {
    assert.deepStrictEqual(Redactor.none.redact("password: hunter2", "request"), {
      text: "password: hunter2",
      findings: []
    })
    assert.strictEqual(joined(Redactor.none.redacting("cluster"), ["password: ", "hunter2"]), "password: hunter2")
    assert.strictEqual(joined(Redactor.none.restoring(), ["{{red"]), "{{red")
    assert.strictEqual(Redactor.none.restore("a"), "a")
    assert.deepStrictEqual(Redactor.none.mentioned("a"), [])
  })
})

describe("what an older sanitizer was given", () => {
  const jwt = [
    "eyJ",
    "hbGciOiJSUzI1NiIsImtpZCI6IiJ9.",
    "eyJpc3MiOiJrdWJlcm5ldGVzL3NlcnZpY2VhY2NvdW50In0.abcDEF123_-456"
  ].join("")
  /** The text, what is expected of it (`▮` is a placeholder), and why. */
  const rows: ReadonlyArray<readonly [text: string, expected: string, why: string]> = [
    ["", "", "nothing"],
    ["get pods in default", "get pods in default", "plain words"],
    [`Authorization: Bearer ${jwt}`, "Authorization: Bearer ▮", "a token in its header"],
    [`token: ${jwt}`, "token: ▮", "a token by key and shape"],
    ["Bearer abcdefghijklmnopqrstuvwxyz", "Bearer ▮", "26 letters after Bearer are no word"],
    ["bearer ABCDEFGHIJKLMNOPQRST.u", "bearer ▮", "capitals after Bearer are no word"],
    ["Bearer short", "Bearer short", "too short for a token"],
    [
      "https://k8s.local/api/v1/pods?watch=1&token=abc.def-123 end",
      "https://k8s.local/api/v1/pods?watch=1&token=▮ end",
      "the parameter only: the rest of the address is needed"
    ],
    ["cert:\n-----BEGIN CERTIFICATE-----\nMIIB\nabcd\n-----END CERTIFICATE-----\nend", "cert:\n▮\nend", "a PEM block"],
    ["-----BEGIN RSA PRIVATE KEY-----\nx\n-----END RSA PRIVATE KEY-----", "▮", "a PEM block, however short"],
    ["data: c3VwZXItc2VjcmV0LXBhc3N3b3JkLTEyMw==", "data: ▮", "Base64 that says something like a password"],
    ["YWFhYWFhYWFhYWFhYWFhYWFhYWE=", "YWFhYWFhYWFhYWFhYWFhYWFhYWE=", "says a word of one letter"],
    ["aaaaaaaaaaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaaaaaaaaaa", "no entropy"],
    [
      "CreateContainerConfigError",
      "CreateContainerConfigError",
      "a reason that Kubernetes gives; the older one was wrong"
    ],
    [
      "/apis/apps/v1/namespaces/default/deployments",
      "/apis/apps/v1/namespaces/default/deployments",
      "a path; the older one was wrong"
    ],
    ["registry.local/library/nginx/latest", "registry.local/library/nginx/latest", "an image; the older one was wrong"],
    ["containerStatuses", "containerStatuses", "a field"],
    ["web-7d4b9c6f5d-abcde", "web-7d4b9c6f5d-abcde", "a pod"],
    [
      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
      "a digest is public; the older one was wrong"
    ],
    ["AKIAIOSFODNN7EXAMPLE", "▮", "an access key by its shape"],
    [["ghp", "0123456789abcdefghijABCDEFGHIJ012345"].join("_"), "▮", "all of it: the older one left the prefix"],
    ["password: hunter2", "password: ▮", "the older one missed it"],
    ["sk-ant-api03-abcdefghijklmnop", "▮", "the older one missed it"],
    ["PodDisruptionBudgetList", "PodDisruptionBudgetList", "a kind; the older one was wrong"],
    [`two ${jwt} and Bearer ${jwt}`, "two ▮ and Bearer ▮", "each time"],
    ["SGVsbG8gV29ybGQ=", "SGVsbG8gV29ybGQ=", "says two words"],
    ["kubernetes.io/ingress-bandwidth", "kubernetes.io/ingress-bandwidth", "an annotation"],
    ["node.kubernetes.io/unreachable", "node.kubernetes.io/unreachable", "a taint"],
    ["FailedScheduling PersistentVolumeClaim", "FailedScheduling PersistentVolumeClaim", "words of Kubernetes"],
    ["horizontalpodautoscalers", "horizontalpodautoscalers", "a resource; the older one was wrong"]
  ]

  for (const [text, expected, why] of rows) {
    it(`${JSON.stringify(text.slice(0, 50))}: ${why}`, () => assert.strictEqual(outline(text), expected))
  }
})

describe("Redactor.redacting", () => {
  it("gives what the whole text gives, however it is split", async () => {
    const texts = [...Corpora.read("secrets"), ...Corpora.read("harmless")]
    for (const { name, text } of texts) {
      const redactor = make()
      const whole = redactor.redact(text, "cluster").text
      const split = (pieces: ReadonlyArray<string>) => {
        const filter = make().redacting("cluster")
        const first = filter.push(pieces[0]!)
        if (!whole.startsWith(first) || !text.startsWith(redactor.restore(first))) {
          assert.fail(`${name} after ${pieces[0]!.length}`)
        }
        const all = first + joined(filter, pieces.slice(1))
        if (all !== whole) assert.strictEqual(all, whole, `${name} after ${pieces[0]!.length}`)
      }
      if (text.length > 700) {
        // The longest few cost more than all the others: every place is cut, but several in one go.
        for (let first = 1; first < 97; first++) {
          await Property.turn()
          const places = Array.from({ length: Math.ceil(text.length / 97) }, (_, index) => first + 97 * index)
          split([0, ...places].map((place, index) => text.slice(place, places[index])))
        }
        continue
      }
      const bytes = new TextEncoder().encode(text)
      for (let at = 0; at <= bytes.length; at++) {
        await Property.turn()
        const decoder = new TextDecoder("utf-8", { ignoreBOM: true })
        split([
          decoder.decode(bytes.subarray(0, at), { stream: true }),
          decoder.decode(bytes.subarray(at), { stream: true }),
          decoder.decode()
        ])
      }
      // Where all characters are of one byte, these are the same splits.
      for (let at = 0; at <= text.length && bytes.length > text.length; at++) split([text.slice(0, at), text.slice(at)])
    }
  })

  it("tells its findings in the same order", () => {
    for (const { text } of Corpora.read("secrets")) {
      const findings: Array<Finding> = []
      joined(make().redacting("cluster", (finding) => findings.push(finding)), [...text])
      assert.deepStrictEqual(findings, make().redact(text, "cluster").findings)
    }
  })

  it("gives lines out as soon as they are complete", () => {
    const filter = make().redacting("cluster")
    assert.strictEqual(filter.push("one\ntw"), "one\n")
    assert.strictEqual(filter.push("o\n"), "two\n")
    assert.strictEqual(filter.push("apiVersion: v1\ndata:\n"), "apiVersion: v1\ndata:\n")
    assert.strictEqual(filter.push("  colour: blue\n"), "", "may be of a Secret")
    assert.strictEqual(filter.push("kind: ConfigMap\n"), "  colour: blue\nkind: ConfigMap\n")
    assert.strictEqual(filter.push("{\"a\": {\n"), "{\"a\": {\n")
    assert.strictEqual(filter.push("- value: x\n"), "", "its name may follow")
    assert.strictEqual(filter.push("text\n"), "- value: x\ntext\n")
    assert.strictEqual(
      filter.push("\"{\\\"data\\\":{\\\"a\\\":\\\"b\\\",\n"),
      "\"{\\\"data\\\":{\\\"a\\\":\\\"b\\\",\n",
      "cut off"
    )
    assert.strictEqual(filter.end(), "")
  })
})

describe("Redactor.restoring", () => {
  it("gives the original, however the redacted text is split", () => {
    for (const { name, text } of Corpora.read("secrets")) {
      const redactor = make()
      const { text: redacted } = redactor.redact(text, "cluster")
      for (let at = 0; at <= redacted.length; at++) {
        const restored = joined(redactor.restoring(), [redacted.slice(0, at), redacted.slice(at)])
        if (restored !== text) assert.strictEqual(restored, text, `${name} after ${at}`)
      }
      assert.strictEqual(joined(redactor.restoring(), [...redacted]), text)
    }
  })

  it("holds back nothing but the beginning of a placeholder", () => {
    const redactor = make()
    const [finding] = redactor.redact("password: hunter2", "request").findings
    assert.isDefined(finding)
    const filter = redactor.restoring()
    assert.strictEqual(filter.push("it is {"), "it is ")
    assert.strictEqual(filter.push("a} and {{redacted:x"), "{a} and ")
    assert.strictEqual(filter.push("!"), "{{redacted:x!")
    assert.strictEqual(filter.push(`a${finding.placeholder.slice(0, -1)}`), "a")
    assert.strictEqual(filter.push("}b"), "hunter2b")
    assert.strictEqual(filter.push("{{redacted:password:0"), "")
    assert.strictEqual(filter.end(), "{{redacted:password:0")
    assert.strictEqual(
      filter.push(`{{redacted:${"a".repeat(40)}`),
      `{{redacted:${"a".repeat(40)}`,
      "no kind is so long"
    )
  })
})
