/**
 * What Redis itself does, each of it at once: nothing of another server comes
 * between. Time is that of Redis, so that all servers have the same.
 *
 * All keys begin with the only one that is given, whose braces keep them on one
 * node of a cluster:
 * - `servers`: every server, by the time until which it counts as alive
 * - `open:<server>`: its reservations; the value is what to book if it dies
 * - `done:<id>`: `s` for settled, `g` for given back, else what was booked when its server had died
 * - `rpm:<bound>`, `tpm:<bound>`: what was let in the last minute by its time, for tokens as `<id>:<tokens>`
 * - `tpm-sum:<bound>`: the sum of those tokens
 * - `running:<bound>`: calls that run, by server
 * - `total:<day or month>:<bound>`: `tokens` and `cost` with what is set aside
 * - `usage:<day>`: what was booked; `days`: those days, by the second at which they expire
 */
import { type CommandParser, defineScript } from "@redis/client"

/** How long a server counts as alive after it was last heard of, in milliseconds. */
export const lease = 20_000

/** What refused, by its place among the bounds from 1 on, its type, and milliseconds; null when it was taken. */
export type Refused = readonly [bound: number, type: string, retryAfterMs: number] | null

// -- internals ---------------------------------------------------------------

const common = `
local base, q = KEYS[1], cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now, minute = time[1] * 1000 + math.floor(time[2] / 1000), 60000
local open = base .. 'open:' .. q.server

local function book(row, sign)
  if #row.counts == 0 then return end
  local key = base .. 'usage:' .. row.day
  for _, count in ipairs(row.counts) do
    if redis.call('HINCRBY', key, count[1], sign * count[2]) == 0 then redis.call('HDEL', key, count[1]) end
  end
  -- Not each time, which would be three commands more.
  if redis.call('TTL', key) < row.keep - 3600 and redis.call('EXPIRE', key, row.keep) == 1 then
    redis.call('ZADD', base .. 'days', time[1] + row.keep, row.day)
    redis.call('ZREMRANGEBYSCORE', base .. 'days', '-inf', time[1])
  end
end

local function charge(key, tokens, cost)
  for _, period in ipairs(q.periods) do
    local total = base .. 'total:' .. period[1] .. ':' .. key
    for of, amount in pairs({ tokens = tokens, cost = cost }) do
      -- Equal when it is the first.
      if amount ~= 0 and redis.call('HINCRBY', total, of, amount) == amount then
        redis.call('EXPIRE', total, period[2])
      end
    end
  end
end

-- Redis may have thrown the sum away; without it there is no expiry either.
local function add(sum, tokens)
  if redis.call('EXISTS', sum) == 1 and redis.call('INCRBY', sum, tokens) < 0 then redis.call('DEL', sum) end
end

local function entry(tokens) return q.id .. ':' .. string.format('%.0f', tokens) end
`

const alive = `
local function reap(server)
  local dead = base .. 'open:' .. server
  local left = redis.call('HGETALL', dead)
  for i = 1, #left, 2 do
    local record = cjson.decode(left[i + 1])
    book(record, 1)
    redis.call('SET', base .. 'done:' .. left[i], left[i + 1], 'EX', 86400)
    for _, key in ipairs(record.running) do redis.call('HDEL', base .. 'running:' .. key, server) end
  end
  redis.call('DEL', dead)
  redis.call('ZREM', base .. 'servers', server)
  return #left / 2
end

redis.call('ZADD', base .. 'servers', now + ${lease}, q.server)
local reaped = 0
for _, server in ipairs(redis.call('ZRANGEBYSCORE', base .. 'servers', '-inf', now)) do
  reaped = reaped + reap(server)
end
`

const reserve = `${common}${alive}
-- Whoever asked waits no more and has given it back.
if redis.call('EXISTS', base .. 'done:' .. q.id) == 1 then return redis.error_reply('ERR given back') end

-- A clock that was set back must not hold anybody up until it has caught up.
local function present(key)
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '(' .. now, '+inf')) do redis.call('ZADD', key, now, member) end
end

local function tokensOf(member) return tonumber(string.match(member, ':(%d+)$')) end

local function expire(key, sum)
  local gone = 0
  for _, member in ipairs(redis.call('ZRANGEBYSCORE', key, '-inf', now - minute)) do gone = gone + tokensOf(member) end
  if gone == 0 then return end
  redis.call('ZREMRANGEBYSCORE', key, '-inf', now - minute)
  add(sum, -gone)
end

local function untilLeft(key, sum, excess)
  local from, left = 0, 0
  repeat
    local some = redis.call('ZRANGE', key, from, from + 99, 'WITHSCORES')
    for i = 1, #some, 2 do
      left = left + tokensOf(some[i])
      if left >= excess then return some[i + 1] + minute - now end
    end
    from = from + 100
  until #some < 200
  -- It may have thrown their members away instead.
  redis.call('SET', sum, left, 'PX', minute)
  return 1
end

-- First what takes longest: nobody waits for a minute to be told to wait for a month.
for i, bound in ipairs(q.bounds) do
  for _, quota in ipairs(bound.quotas) do
    local used = redis.call('HGET', base .. 'total:' .. quota.period .. ':' .. bound.key, quota.of) or 0
    if used + quota.take > quota.most then return { i, quota.type, quota.wait } end
  end
end
for i, bound in ipairs(q.bounds) do
  if bound.concurrent then
    local running = 0
    for _, count in ipairs(redis.call('HVALS', base .. 'running:' .. bound.key)) do running = running + count end
    if running >= bound.concurrent then return { i, 'concurrency', 1000 } end
  end
  if bound.rpm then
    local key = base .. 'rpm:' .. bound.key
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - minute)
    local excess = redis.call('ZCARD', key) + 1 - bound.rpm
    if excess > 0 then
      present(key)
      local last = redis.call('ZRANGE', key, excess - 1, excess - 1, 'WITHSCORES')
      return { i, 'rpm', (last[2] or now) + minute - now }
    end
  end
  if bound.tpm then
    local key, sum = base .. 'tpm:' .. bound.key, base .. 'tpm-sum:' .. bound.key
    expire(key, sum)
    local excess = (redis.call('GET', sum) or 0) + bound.take - bound.tpm
    if excess > 0 then
      present(key)
      return { i, 'tpm', untilLeft(key, sum, excess) }
    end
  end
end

redis.call('HSET', open, q.id, q.record)
for _, bound in ipairs(q.bounds) do
  charge(bound.key, q.tokens, q.cost)
  if bound.concurrent then redis.call('HINCRBY', base .. 'running:' .. bound.key, q.server, 1) end
  if bound.rpm then
    local key = base .. 'rpm:' .. bound.key
    redis.call('ZADD', key, now, q.id)
    redis.call('PEXPIRE', key, minute)
  end
  if bound.tpm then
    local key, sum = base .. 'tpm:' .. bound.key, base .. 'tpm-sum:' .. bound.key
    redis.call('ZADD', key, now, entry(bound.take))
    redis.call('INCRBY', sum, bound.take)
    redis.call('PEXPIRE', key, minute)
    redis.call('PEXPIRE', sum, minute)
  end
end
return false
`

const settle = `${common}
local done = base .. 'done:' .. q.id
local record, mark = redis.call('HGET', open, q.id), redis.call('GET', done)
if mark == 's' or (mark == 'g' and q.back) then return 0 end
local abandoned = mark and mark ~= 'g'
if abandoned then book(cjson.decode(mark), -1) end
local tokens, cost = 0, 0
if record or abandoned then tokens, cost = q.tokens, q.cost end

for i, bound in ipairs(q.bounds) do
  local used = q.charges[i]
  charge(bound.key, used.tokens - tokens, used.cost - cost)
  if record and bound.concurrent then
    local running = base .. 'running:' .. bound.key
    if redis.call('HINCRBY', running, q.server, -1) <= 0 then redis.call('HDEL', running, q.server) end
  end
  if q.back and bound.rpm then redis.call('ZREM', base .. 'rpm:' .. bound.key, q.id) end
  if bound.tpm and used.tokens ~= bound.take then
    local key, old = base .. 'tpm:' .. bound.key, entry(bound.take)
    local at = redis.call('ZSCORE', key, old)
    if at then
      -- First this: a set without members would lose its expiry.
      if used.tokens > 0 then redis.call('ZADD', key, at, entry(used.tokens)) end
      redis.call('ZREM', key, old)
      add(base .. 'tpm-sum:' .. bound.key, used.tokens - bound.take)
    end
  end
end
for _, row in ipairs(q.rows) do book(row, 1) end
redis.call('HDEL', open, q.id)
redis.call('SET', done, q.back and 'g' or 's', 'EX', 3600)
return 1
`

const renew = `${common}${alive}
if q.leaving and redis.call('EXISTS', open) == 0 then redis.call('ZREM', base .. 'servers', q.server) end
return reaped
`

const outstanding = `
local count = 0
for _, server in ipairs(redis.call('ZRANGE', KEYS[1] .. 'servers', 0, -1)) do
  count = count + redis.call('HLEN', KEYS[1] .. 'open:' .. server)
end
return count
`

const script = <Reply>(lua: string) =>
  defineScript({
    SCRIPT: lua,
    NUMBER_OF_KEYS: 1,
    parseCommand: (parser: CommandParser, base: string, request: string) => {
      parser.pushKey(base)
      parser.push(request)
    },
    transformReply: (reply: Reply): Reply => reply
  })

/** Each takes the beginning of all keys, and what it is asked as JSON. */
export const scripts = {
  /** Sees first to servers that died, as `renew` does. */
  reserve: script<Refused>(reserve),
  /** Yields 0 when it was settled before. */
  settle: script<number>(settle),
  /** Says that the server lives, and books the calls of those that died as they were estimated; yields how many. */
  renew: script<number>(renew),
  outstanding: script<number>(outstanding)
}
