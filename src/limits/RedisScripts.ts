/**
 * What Redis itself does, each of it at once: nothing of another server comes
 * between. Time is that of Redis, so that all servers have the same.
 *
 * Every script is given all keys that it uses, as Redis Cluster and Dragonfly
 * ask. They begin with the same text in braces, which keeps them on one node:
 * - `servers`: every server, by the time until which it counts as alive
 * - `open:<server>`: its reservations; the value is what to book if it dies
 * - `done:<id>`: `s` for settled, `g` for given back, else what was booked when its server had died
 * - `rpm:<bound>`, `tpm:<bound>`: what was let in the last minute by its time, for tokens as `<id>:<tokens>`
 * - `tpm-sum:<bound>`: the sum of those tokens
 * - `running:<bound>`: calls that run, by server
 * - `total:<day or month>:<bound>`: `tokens` and `cost` with what is set aside
 * - `usage:<day>`: what was booked; `days`: those days, by the second at which they expire
 * - `probe`: nothing, except while it is tried what the user may do
 */
import { type CommandParser, defineScript } from "@redis/client"
import type { Unfit } from "./RedisConnection.js"
import { boundKeys, callKeys, type Question } from "./RedisRequest.js"

/** How long a server counts as alive after it was last heard of, in milliseconds. */
export const lease = 20_000

/**
 * What refused, by its place among the bounds from 1 on, its type, and milliseconds; null when it was taken. With 0,
 * nothing was decided: servers have died, and these are some of them.
 */
export type Refused = readonly [bound: number, type: string, retryAfterMs: number] | Dead | null
export type Dead = readonly [bound: 0, ...servers: ReadonlyArray<string>]

// -- internals ---------------------------------------------------------------

const common = `
local q = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now, minute = time[1] * 1000 + math.floor(time[2] / 1000), 60000
`

const booking = `
local function book(row, sign, key, days)
  if #row.counts == 0 then return end
  for _, count in ipairs(row.counts) do
    if redis.call('HINCRBY', key, count[1], sign * count[2]) == 0 then redis.call('HDEL', key, count[1]) end
  end
  -- Not each time, which would be three commands more.
  if redis.call('TTL', key) < row.keep - 3600 and redis.call('EXPIRE', key, row.keep) == 1 then
    redis.call('ZADD', days, time[1] + row.keep, row.day)
    redis.call('ZREMRANGEBYSCORE', days, '-inf', time[1])
  end
end

`

const call = `${common}${booking}
${callKeys.map((name, index) => `local ${name} = KEYS[${index + 1}]`).join("\n")}
local function keysOf(i)
  local at = ${callKeys.length} + (i - 1) * ${boundKeys.length}
  return { ${boundKeys.map((name, index) => `${name} = KEYS[at + ${index + 1}]`).join(", ")} }
end

local function charge(keys, tokens, cost)
  for i, life in ipairs(q.lives) do
    local total = i == 1 and keys.day or keys.month
    for of, amount in pairs({ tokens = tokens, cost = cost }) do
      -- Equal when it is the first.
      if amount ~= 0 and redis.call('HINCRBY', total, of, amount) == amount then
        redis.call('EXPIRE', total, life)
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

/** Some of the servers that are not alive any more. */
const dead = `
local function dead(servers)
  return redis.call('ZRANGEBYSCORE', servers, '-inf', now, 'LIMIT', 0, 10)
end
`

const reserve = `${call}${dead}
redis.call('ZADD', servers, now + ${lease}, q.server)
-- What they had is booked first, and their places are free.
if q.first then
  local gone = dead(servers)
  if #gone > 0 then return { 0, unpack(gone) } end
end
-- Whoever asked waits no more and has given it back.
if redis.call('EXISTS', done) == 1 then return redis.error_reply('ERR given back') end

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
    local used = redis.call('HGET', keysOf(i)[quota.period], quota.of) or 0
    if used + quota.take > quota.most then return { i, quota.type, quota.wait } end
  end
end
for i, bound in ipairs(q.bounds) do
  local keys = keysOf(i)
  if bound.concurrent then
    local running = 0
    for _, count in ipairs(redis.call('HVALS', keys.running)) do running = running + count end
    if running >= bound.concurrent then return { i, 'concurrency', 1000 } end
  end
  if bound.rpm then
    local key = keys.rpm
    redis.call('ZREMRANGEBYSCORE', key, '-inf', now - minute)
    local excess = redis.call('ZCARD', key) + 1 - bound.rpm
    if excess > 0 then
      present(key)
      local last = redis.call('ZRANGE', key, excess - 1, excess - 1, 'WITHSCORES')
      return { i, 'rpm', (last[2] or now) + minute - now }
    end
  end
  if bound.tpm then
    local key, sum = keys.tpm, keys.sum
    expire(key, sum)
    local excess = (redis.call('GET', sum) or 0) + bound.take - bound.tpm
    if excess > 0 then
      present(key)
      return { i, 'tpm', untilLeft(key, sum, excess) }
    end
  end
end

redis.call('HSET', open, q.id, q.record)
for i, bound in ipairs(q.bounds) do
  local keys = keysOf(i)
  charge(keys, q.tokens, q.cost)
  if bound.concurrent then redis.call('HINCRBY', keys.running, q.server, 1) end
  if bound.rpm then
    local key = keys.rpm
    redis.call('ZADD', key, now, q.id)
    redis.call('PEXPIRE', key, minute)
  end
  if bound.tpm then
    local key, sum = keys.tpm, keys.sum
    redis.call('ZADD', key, now, entry(bound.take))
    redis.call('INCRBY', sum, bound.take)
    redis.call('PEXPIRE', key, minute)
    redis.call('PEXPIRE', sum, minute)
  end
end
return false
`

const settle = `${call}
local record, mark = redis.call('HGET', open, q.id), redis.call('GET', done)
if mark == 's' or (mark == 'g' and q.back) then return 0 end
local abandoned = mark and mark ~= 'g'
if abandoned then book(cjson.decode(mark), -1, usage, days) end
local tokens, cost = 0, 0
if record or abandoned then tokens, cost = q.tokens, q.cost end
-- Totals have what was booked, and not any more what was set aside.
local more = abandoned and cjson.decode(mark).more
if more then tokens, cost = tokens + more.tokens, cost + more.cost end

for i, bound in ipairs(q.bounds) do
  local keys, used = keysOf(i), q.charges[i]
  charge(keys, used.tokens - tokens, used.cost - cost)
  if record and bound.concurrent then
    local running = keys.running
    if redis.call('HINCRBY', running, q.server, -1) <= 0 then redis.call('HDEL', running, q.server) end
  end
  if q.back and bound.rpm then redis.call('ZREM', keys.rpm, q.id) end
  if bound.tpm and used.tokens ~= bound.take then
    local key, old = keys.tpm, entry(bound.take)
    local at = redis.call('ZSCORE', key, old)
    if at then
      -- First this: a set without members would lose its expiry.
      if used.tokens > 0 then redis.call('ZADD', key, at, entry(used.tokens)) end
      redis.call('ZREM', key, old)
      add(keys.sum, used.tokens - bound.take)
    end
  end
end
for _, row in ipairs(q.rows) do book(row, 1, usage, days) end
redis.call('HDEL', open, q.id)
redis.call('SET', done, q.back and 'g' or 's', 'EX', 3600)
return 1
`

const renew = `${common}${dead}
local servers, open = KEYS[1], KEYS[2]
redis.call('ZADD', servers, now + ${lease}, q.server)
if q.leaving and redis.call('EXISTS', open) == 0 then redis.call('ZREM', servers, q.server) end
return dead(servers)
`

/** Books what a server that died had, unless another one has done so since it was read, or it is alive again. */
const reap = `${common}${booking}
local servers, open, days = KEYS[1], KEYS[2], KEYS[3]
local at, reaped = redis.call('ZSCORE', servers, q.dead), 0
if not at or tonumber(at) > now then return 0 end
for _, entry in ipairs(q.entries) do
  if redis.call('HGET', open, entry.id) == entry.record then
    if entry.usage then
      local record = cjson.decode(entry.record)
      book(record, 1, KEYS[entry.usage], days)
      for _, place in ipairs(entry.totals) do
        -- One that has expired meanwhile must not come back without an expiry.
        if redis.call('EXISTS', KEYS[place]) == 1 then
          for of, amount in pairs(record.more) do
            if amount ~= 0 then redis.call('HINCRBY', KEYS[place], of, amount) end
          end
        end
      end
      redis.call('SET', KEYS[entry.done], entry.record, 'EX', 86400)
      for _, place in ipairs(entry.running) do redis.call('HDEL', KEYS[place], q.dead) end
    end
    redis.call('HDEL', open, entry.id)
    reaped = reaped + 1
  end
end
if redis.call('EXISTS', open) == 0 then redis.call('ZREM', servers, q.dead) end
return reaped
`

const progress = `
local q = cjson.decode(ARGV[1])
local open, known = KEYS[1], 0
for _, entry in ipairs(q.entries) do
  if redis.call('HGET', open, entry.id) then
    redis.call('HSET', open, entry.id, entry.record)
    known = known + 1
  end
end
return known
`

/** Every command that scripts and questions use, but those of channels; the first that is refused, and why. */
const probe = `
local key, refused = KEYS[1], false
local function try(command, ...)
  local reply = redis.pcall(command, ...)
  if not refused and type(reply) == 'table' and reply.err then refused = { command, reply.err } end
end
try('PING') try('TIME')
try('DEL', key)
try('HSET', key, 'a', 1) try('HSETNX', key, 'a', 1) try('HINCRBY', key, 'a', 1)
try('HGET', key, 'a') try('HMGET', key, 'a') try('HGETALL', key) try('HSCAN', key, 0) try('HVALS', key) try('HLEN', key) try('HDEL', key, 'a')
try('DEL', key)
try('ZADD', key, 1, 'a') try('ZSCORE', key, 'a') try('ZCARD', key) try('ZRANGE', key, 0, 0)
try('ZRANGEBYSCORE', key, 0, 1) try('ZREM', key, 'b') try('ZREMRANGEBYSCORE', key, 2, 3)
try('DEL', key)
try('SET', key, 1, 'EX', 60) try('INCRBY', key, 1) try('GET', key) try('EXISTS', key)
try('TTL', key) try('EXPIRE', key, 60) try('PEXPIRE', key, 60)
try('DEL', key)
return refused
`

/** Every script; for a look at what they use. */
export const sources = { reserve, settle, progress, renew, reap, probe }

const script = <Reply>(lua: string) =>
  defineScript({
    SCRIPT: lua,
    parseCommand: (parser: CommandParser, { keys, request }: Question) => {
      parser.pushKeysLength([...keys])
      parser.push(request)
    },
    transformReply: (reply: Reply): Reply => reply
  })

/** Each takes its keys, and what it is asked as JSON. */
export const scripts = {
  reserve: script<Refused>(reserve),
  /** Yields 0 when it was settled before. */
  settle: script<number>(settle),
  /** Yields how many of the calls are still open. */
  progress: script<number>(progress),
  /** Says that the server lives; yields some of the servers that died. */
  renew: script<ReadonlyArray<string>>(renew),
  /** Yields how many calls of a dead server it has booked. */
  reap: script<number>(reap),
  probe: script<Unfit>(probe)
}
