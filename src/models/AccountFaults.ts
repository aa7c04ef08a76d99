/**
 * Whether a provider refused us, and not the request: our key, our credit, or what our account may do.
 *
 * Such a failure is the same for every request with that key, and another provider does not share it. The status alone
 * says it (401, 402, 403, 407, 412, 451, 498), or a code or sentence under any status: vendors also send 400, 429, 500
 * and 200 for it. A 429 with a time to wait is a rate limit whatever else its sentences advise: those of OpenAI speak of
 * payment methods, those of Gemini of plan and billing.
 * Sources: https://platform.openai.com/docs/guides/error-codes (`insufficient_quota`, `billing_hard_limit_reached`),
 * https://docs.claude.com/en/api/errors (`billing_error`, `permission_error`, "credit balance is too low"),
 * https://www.alibabacloud.com/help/en/model-studio/error-code (`Arrearage`), https://api-docs.deepseek.com/quick_start/error_codes
 * (402), https://platform.moonshot.ai/docs/api/errors (`exceeded_current_quota_error`), https://docs.z.ai/api-reference/api-code (1113),
 * https://docs.fireworks.ai/guides/inference-error-codes (412), https://console.groq.com/docs/errors (498),
 * https://cloud.google.com/apis/docs/reference/rest (`API_KEY_INVALID`, `BILLING_DISABLED`, `CONSUMER_SUSPENDED`).
 */
import type { ErrorBody } from "./ErrorBody.js"

/** What has to be put right: the key, the money, or what the account may do. */
export type AccountFault = "key" | "credit" | "access"

/** `status` is HTTP's, undefined inside of a stream; `waits` says that the provider named a time to wait. */
export const of = (status: number | undefined, body: ErrorBody, waits: boolean): AccountFault | undefined => {
  const [outer, inner] = [status === undefined || status < 400 ? body.status : status, body.status]
  const byCode = first(codes, body.codes)
  if (byCode !== undefined) return byCode
  // A sentence says less than a status that is only about this request, or a pace.
  const isPace = outer === 429 && (waits || body.codes.some((code) => pace.test(code)))
  const sentences = isPace
    ? []
    : body.messages.map((message) => message.slice(0, maxRead).replaceAll(links, "")).filter((text) =>
      !schema.test(text)
    )
  const bySentence = first(words, sentences)
  if (bySentence !== undefined) return bySentence
  const byStatus = statuses[outer ?? 0] ?? (isPace ? undefined : statuses[inner ?? 0])
  return byStatus === "access" && sentences.concat(body.codes).some((text) => moderation.test(text))
    ? undefined
    : byStatus
}

// -- internals ---------------------------------------------------------------

/** Of a sentence, in UTF-16 code units: what is further behind quotes the request. */
const maxRead = 600
const links = /\bhttps?:\/\/\S+/g

const statuses: { readonly [status: number]: AccountFault } = {
  401: "key",
  402: "credit",
  403: "access",
  407: "access",
  412: "access",
  451: "access",
  498: "key"
}

/** Names of a caller's own properties may be any words. */
const schema = /\bschema\b|response_format|output_config/i

type Rules = ReadonlyArray<readonly [AccountFault, RegExp]>

const first = (rules: Rules, texts: ReadonlyArray<string>): AccountFault | undefined =>
  rules.find(([, rule]) => texts.some((text) => rule.test(text)))?.[0]

/** A limit of the pace, which time alone lifts. */
const pace = /rate[-_ .]?limit|too[-_ ]?many[-_ ]?requests|throttl|requests?_per|tokens?_per/i

/** The provider's judgement of this one request, which some send with 403. */
const moderation =
  /moderat|flagged|content[-_ ]?(filter|policy|management)|safety|data[-_ ]?inspection|harmful|prohibited content/i

/** Codes: short, without blanks. */
const codes: Rules = [
  [
    "credit",
    /insufficient[-_.]?(\w+[-_.])?(quota|balance|credits?|funds?)|insufficient(Quota|Balance|Credits?|Funds)|quota[-_.]?(not[-_.]?enough|insufficient|exhausted|used[-_.]?up)|exceeded[-_.]current[-_.]quota|pre[-_.]consume[-_.]\w*quota|arrear|overdue|billing|payment[-_.]?required|(spend(ing)?|hard|budget|usage|monthly)[-_.]?(limit|cap|budget)s?[-_.]?(reached|exceeded)|budget[-_.]?exceeded|FreeTierOnly|out[-_.]of[-_.](credits?|quota|funds)|no[-_.](credits?|balance|funds)|(credits?|balance|funds)[-_.]?(exhausted|depleted|too[-_.]low|insufficient|not[-_.]enough)/i
  ],
  [
    "key",
    /(invalid|incorrect|wrong|missing|expired|revoked|bad|unknown|no)[-_.]?(\w+[-_.])?(api[-_.]?key|apikey|access[-_.]?key|access[-_.]?token|security[-_.]?token|auth\w*|credentials?|iam[-_.]?token|bearer)|api[-_.]?key[-_.]?(\w+[-_.])?(invalid|expired|missing|revoked|disabled|not[-_.]?found|service[-_.]?blocked)|(access|security|auth)[-_.]?token[-_.]?(invalid|expired)|^(ExpiredToken(Exception)?|UnrecognizedClientException|InvalidSignatureException|InvalidClientTokenId|MissingAuthenticationToken\w*)$|authentication[-_.]?(error|failed|failure|required)|unauthenticated|^unauthori[sz]ed$/i
  ],
  [
    "access",
    /(account|organi[sz]ation|project|team|user|tenant|workspace|consumer|customer|subscription|service)[-_.]?(is[-_.])?(disabled|suspended|deactivated|inactive|locked|frozen|banned|blocked|terminated|closed|restricted|invalid|not[-_.]?active)|access[-_.]?denied|permission[-_.]?(denied|error)|^forbidden$|AccessDenied|unsupported[-_.]?(country|region|location)|(country|region|location)[-_.]?(\w+[-_.])*(unsupported|not[-_.]supported|blocked)|(disabled|suspended|deactivated)[-_.](account|organi[sz]ation|project|user)|account[-_.]?(in[-_.])?(good[-_.]standing|standing)/i
  ]
]

const holder = String
  .raw`(?:account|organi[sz]ation|project|team|workspace|tenant|subscription|consumer|merchant|billing|(?:api|access|secret|license) ?key)s?\b`
const money = String.raw`\b(?:credits?|credit balance|balance|funds?|prepaid|allowance|budget|payment|quota)\b`
const key = String
  .raw`\b(?:(?:api|access|secret|subscription|license|auth\w*|virtual)[- _]?keys?|(?:api|access|auth\w*|bearer|security|secret)[- _]?tokens?|credentials?|jwt)\b`

const words: Rules = [
  [
    "credit",
    new RegExp(
      [
        String
          .raw`${money}[^.!?;]{0,40}\b(?:too low|insufficient|not (?:enough|sufficient)|exhausted|used up|depleted|ran out|run(?:ning)? out|negative|is zero|consumed|expired|has ended|below)\b`,
        String
          .raw`\b(?:insufficient|not enough|no|out of|lack(?:s|ing)?(?: of)?|used (?:up )?(?:all|your)|exhausted|run out of|ran out of|more|doesn'?t have any|does not have any|without)\b[^.!?;]{0,30}\b(?:credits?|credit balance|balance|funds?)\b`,
        String
          .raw`\b(?:insufficient|not enough|exceeded (?:your|the|its) (?:current|monthly|included|total|free|remaining)) [^.!?;]{0,20}\b(?:quota|credits?|usage|allowance)\b`,
        String
          .raw`\b(?:spend(?:ing)?|billing|hard|usage|credit|monthly|budget|cost)[- ](?:hard[- ])?(?:limits?|caps?|budget|quota)\b[^.!?;]{0,30}\b(?:reached|exceeded|hit|exhausted)`,
        String
          .raw`\b(?:reach(?:ed|ing)|exceed(?:ed|ing)|hit|over)\b[^.!?;]{0,40}\b(?:spend(?:ing)?|billing|usage|credit|monthly|cost)[- ](?:limits?|caps?|budget|quota)\b`,
        String.raw`\bbudget (?:has been )?exceeded\b|\bexceeded (?:your |the |its )?budget\b`,
        String
          .raw`\bin arrears?\b|\barrearage\b|\boverdue\b|\bgood standing\b|\bpayment (?:is )?(?:required|failed|declined)\b`,
        String
          .raw`\bbilling\b[^.!?;]{0,40}\b(?:disabled|not (?:active|enabled|set up)|inactive|required|issue|problem)\b|\bcheck your plan and billing\b`,
        String
          .raw`\b(?:top ?up|recharge)\b|\bpurchase (?:more |additional )?credits\b|\badd (?:more )?(?:credits|funds)\b`,
        String.raw`\b(?:used up|exceeded|exhausted)\b[^.!?;]{0,30}\b(?:allocation|allotment|free tier)\b`,
        "欠费|余额不足|余额已|余额为|额度不足|额度已用|额度已耗|资源包|充值|配额不足|账单"
      ].join("|"),
      "i"
    )
  ],
  [
    "access",
    new RegExp(
      [
        String
          .raw`\b${holder}[^.!?;]{0,60}\b(?:disabled|suspended|deactivated|inactive|not active|no longer active|frozen|banned|terminated|on hold|cancell?ed)\b`,
        // A schema may have properties of these names.
        String
          .raw`\b(?:your|this|the|user'?s?) (?:user |customer |plan\b|${holder})[^.!?;]{0,60}\b(?:locked|blocked|closed|restricted|disabled|suspended|does(?:n'?t| not) (?:have|include|allow) (?:permission|access)?|not (?:allowed|authori[sz]ed|permitted|verified))\b`,
        String
          .raw`\b(?:disabled|suspended|deactivated|inactive|banned|locked|blocked)\b (?:\w+ ){0,2}(?:account|organi[sz]ation|project|team|workspace|subscription)\b`,
        String
          .raw`\b(?:country|region|territory|location|jurisdiction)\b[^.!?;]{0,40}\b(?:not (?:supported|allowed|available|permitted)|unsupported|blocked|restricted)\b`,
        String
          .raw`\bnot (?:available|supported|allowed|offered) (?:in|from) (?:your|this) (?:country|region|location)\b|\bunsupported (?:country|region|location)\b`,
        String.raw`\b${holder}[^.!?;]{0,30}\b(?:has|have) not (?:been )?activated\b`,
        String.raw`\baccess (?:is |was |has been )?denied\b|\bpermission denied\b|^\W*(?:403\W+)?forbidden\W*$`,
        "(?:账户|账号|帐户|帐号)[^。]{0,12}(?:停用|冻结|封禁|禁用|锁定|异常|欠)|无权限|没有权限"
      ].join("|"),
      "i"
    )
  ],
  [
    "key",
    new RegExp(
      [
        String
          .raw`\b(?:invalid|incorrect|wrong|missing|expired|revoked|bad|unknown|malformed|unrecogni[sz]ed|no(?: valid)?|unauthori[sz]ed)\b (?:\w+ ){0,2}?${key}`,
        String
          .raw`${key}[^.!?;]{0,40}\b(?:not valid|invalid|incorrect|wrong|expired|has ended|not found|revoked|disabled|missing|required|not recogni[sz]ed|does(?:n'?t| not) exist|deactivated)\b`,
        String.raw`\bthe (?:api )?key has (?:ended|expired)\b`,
        String
          .raw`\b(?:invalid|failed|missing|no) (?:authentication|authori[sz]ation)\b|\bauthentication (?:failed|error|required|fails)\b|\bunauthenticated\b`,
        String.raw`\blogin fail|^\W*(?:401\W+)?unauthori[sz]ed\W*$`,
        "无效的?(?:令牌|密钥|API)|令牌(?:无效|已过期|状态不可用)|身份验证失败|鉴权失败|认证失败|密钥(?:无效|错误)"
      ].join("|"),
      "i"
    )
  ]
]
