import { assert, describe, it } from "@effect/vitest"
import { Either, Redacted } from "effect"
import * as Fs from "node:fs"
import { address, format, parse } from "../../src/domain/ProxyUrl.js"

const reference = JSON.parse(
  Fs.readFileSync(new URL("../conformance/proxy_url.json", import.meta.url), "utf8")
) as { readonly inputs: ReadonlyArray<string> }

const token = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJ0ZXN0In0.c2ln"

const tls = (host: string, port: number, token?: string) => ({ tls: true, host, port, token })
const plain = (host: string, port: number, token?: string) => ({ tls: false, host, port, token })

const notAToken = /before the @ .* is not a token/
const otherScheme = /is not one of vibectl-server \(TLS\) and vibectl-server-insecure/
const noHost = /has no host/
const badPort = /not a number from 1 to 65535/

/** The URL, or what the error says. The comments say where the deployed Python system answers otherwise. */
const expected: Record<string, ReturnType<typeof tls> | RegExp> = {
  "vibectl-server://test.com:443": tls("test.com", 443),
  "vibectl-server://test.com": tls("test.com", 50051),
  "vibectl-server-insecure://localhost:50051": plain("localhost", 50051),
  "vibectl-server-insecure://localhost": plain("localhost", 50051),
  [`vibectl-server://${token}@example.com:443`]: tls("example.com", 443, token),
  [`vibectl-server-insecure://${token}@localhost:50051`]: plain("localhost", 50051, token),
  "vibectl-server://secret@myserver.com:8080": notAToken,
  "vibectl-server://simple-token@example.com:443": notAToken,
  "http://test.com:443": /Did you mean vibectl-server-insecure:\/\/test\.com:443\?/,
  "https://x": /Did you mean vibectl-server:\/\/x:50051\?/,
  "grpc://h:1": otherScheme,
  // It takes "" for "none configured".
  "": /is empty/,
  "   ": /is empty/,
  "not-a-url": /has no scheme/,
  "://h:1": /has no scheme/,
  "vibectl-server://": noHost,
  "vibectl-server://:443": noHost,
  // It takes 0 for the default.
  "vibectl-server://test.com:0": badPort,
  "vibectl-server://test.com:-1": badPort,
  "vibectl-server://test.com:99999": badPort,
  "vibectl-server://test.com:65535": tls("test.com", 65535),
  "vibectl-server://test.com:65536": badPort,
  "vibectl-server://test.com:abc": badPort,
  "VIBECTL-SERVER://Test.COM:443": tls("test.com", 443),
  "vibectl-server://[::1]:50051": tls("::1", 50051),
  "vibectl-server://[2001:db8::1]": tls("2001:db8::1", 50051),
  "vibectl-server://user:pass@h:1": notAToken,
  "vibectl-server://@h:1": tls("h", 1),
  // It ignores what follows, so that a URL of something else seems to work.
  "vibectl-server://h:1/path?x=1#f": /goes on after host and port.*Remove/,
  // It finds this valid and then cannot parse it.
  "  vibectl-server://h:1  ": tls("h", 1),
  "vibectl-server:h:1": /lacks the \/\//,
  "vibectl-server://a@b@h:1": /more than one @/,
  "vibectl-server://tok%2Een@h:1": notAToken,
  "vibectl-server://host_name:1": tls("host_name", 1),
  "vibectl-server://192.0.2.1:443": tls("192.0.2.1", 443),
  "vibectl-server://h:": tls("h", 50051),
  "vibectl-server://a..c@h:1": notAToken,
  "vibectl-server://a.b.c.d@h:1": notAToken,
  "vibectl-server://a.b@h:1": notAToken,
  "vibectl-server://a.b.c=@h:1": notAToken,
  "vibectl-server-insecure://bad token.b.c@h:1": notAToken
}

const decide = (text: string) =>
  Either.match(parse(text), {
    onLeft: (error) => error.message,
    onRight: (url) => ({ ...url, token: url.token && Redacted.value(url.token) })
  })

const messageOf = (text: string) => Either.getOrThrowWith(Either.flip(parse(text)), () => new Error(text)).message

const refuses = (text: string, problem: RegExp) => assert.match(messageOf(text), problem, text)

describe("ProxyUrl.parse", () => {
  it("decides every input of the reference, and no other", () => {
    assert.sameMembers(Object.keys(expected), [...reference.inputs])
  })

  for (const input of reference.inputs) {
    it(`decides ${JSON.stringify(input)}`, () => {
      const wanted = expected[input]
      if (wanted instanceof RegExp) refuses(input, wanted)
      else assert.deepStrictEqual(decide(input), wanted)
    })
  }

  it("refuses hosts that cannot be", () => {
    const hosts = ["a..b", ".a", "a.", "-a", "a-", "a b", "é.example", "a%41", "x".repeat(64), "a\nb", "a*", "a\0"]
    for (const host of hosts) refuses(`vibectl-server://${host}:1`, /is not a host name/)
    refuses(`vibectl-server://${"abcd.".repeat(51)}com`, /is not a host name/)
    for (const host of ["1.2.3", "1.2.3.256", "01.2.3.4", "1.2.3.4.5", "50051"]) {
      refuses(`vibectl-server://${host}`, /is not an IPv4 address/)
    }
  })

  it("takes IPv6 addresses in brackets only", () => {
    for (const host of ["::", "::1", "1::", "1:2:3:4:5:6:7:8", "::ffff:192.0.2.1", "1:2:3:4:5:6:192.0.2.1"]) {
      assert.deepStrictEqual(decide(`vibectl-server://[${host}]:1`), tls(host, 1))
    }
    assert.deepStrictEqual(decide("vibectl-server://[2001:DB8::A]"), tls("2001:db8::a", 50051))
    const broken = ["", ":", ":::", "1", "1::2::3", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1:2:3:4:5:6:7::8"]
    for (const host of [...broken, "g::1", "12345::", "::1%eth0", "1.2.3.4", "1.2.3.4::", "localhost", "[::1"]) {
      refuses(`vibectl-server://[${host}]:1`, /in brackets in the proxy URL is not an IPv6 address|not a number/)
    }
    for (const rest of ["::1", "2001:db8::1", "fe80::1:50051"]) {
      refuses(`vibectl-server://${rest}`, /IPv6 address in the proxy URL is not in brackets/)
    }
    refuses("vibectl-server://[::1]50051", badPort)
    refuses("vibectl-server://[::1", /is not/)
  })

  it("refuses ports that only look like numbers", () => {
    for (const port of ["1e3", "0x50", "+80", " 80", "8 0", "80.0", "٣", "000000080", "80:80"]) {
      refuses(`vibectl-server://h:${port}`, badPort)
    }
  })

  it("refuses everything after host and port", () => {
    for (const end of ["/", "?", "#", "/v1", "?a=b", "#top", "\\"]) {
      refuses(`vibectl-server://h:1${end}`, /goes on after/)
    }
  })

  it("knows a token that stands where the host should be", () => {
    refuses(`vibectl-server://${token}`, /has a token but no host/)
    refuses(`vibectl-server://${token}:50051`, /has a token but no host/)
    refuses(`vibectl-server://@${token}`, /has a token but no host/)
  })

  it("never repeats a token in an error, wherever it stands", () => {
    for (
      const text of [
        token,
        `${token}@h`,
        `${token}@h:1`,
        `http://${token}@h:1`,
        `${token}://h:1`,
        `vibectl-server:${token}@h:1`,
        `vibectl-server://${token}`,
        `vibectl-server://${token}@`,
        `vibectl-server://${token}@h:0`,
        `vibectl-server://${token}@h:1/x`,
        `vibectl-server://${token}@${token}@h`,
        `vibectl-server://user:${token}@h`,
        `vibectl-server://h:${token}`,
        `vibectl-server://h:${token.slice(0, 20)}`,
        `vibectl-server://h!${token.slice(0, 20)}`,
        `${token.slice(0, 20)}://h`,
        `vibectl-server://h:1/${token}`,
        `vibectl-server://[${token}]`,
        `vibectl-server://${token}=@h`
      ]
    ) {
      const message = messageOf(text)
      for (const part of token.split(".")) assert.notInclude(message, part, text)
    }
  })

  it("shows how it is written", () => {
    for (const text of ["", "x", "https://[x", "vibectl-server://", "vibectl-server://h:0"]) {
      refuses(text, /vibectl-server:\/\/llm\.example\.com:50051/)
      refuses(text, /vibectl-server-insecure:\/\/localhost:50051/)
    }
  })
})

describe("ProxyUrl.format", () => {
  it("leaves the token away and the port in", () => {
    const url = Either.getOrThrow(parse(`vibectl-server://${token}@[2001:DB8::1]`))
    assert.strictEqual(format(url), "vibectl-server://[2001:db8::1]:50051")
    assert.strictEqual(address(url), "[2001:db8::1]:50051")
    assert.notInclude(JSON.stringify(url), token)
  })
})
