-- The ledger: the only writer of live state. One call applies a batch of commands to one partition.
--
-- Calls   <library>_apply  KEYS {ns:p}:meta  ARGV header, commands     -> reply (msgpack)
--         <library>_apply_relief  the same when memory is full: refuses what would take more of it (R26)
--         <library>_read   KEYS {ns:p}:meta  ARGV queries, call, µs    -> answers (msgpack), writes nothing
--         <library>_look   KEYS {ns:p}:meta  ARGV plain reads          -> records as stored, as of one seq: look.lua
--         <library>_create KEYS {ns:p}:meta  ARGV partition, partitions, law, epoch, seq -> 1, or 0 if it exists
--         <library>_trim   KEYS {ns:p}:meta  ARGV through              -> entries dropped from the outbox
--         <library>_remember, <library>_promote: promotion.lua; <library>_lease: lease.lua
--         <library>_begin, _wipe, _open, _late, _freeze: see rebuild.lua
--
-- Shape   gather: few bulk reads fetch every record the batch touches; decide: each command in order, in Lua tables;
--         scatter: few bulk writes that cannot fail. Lua has no rollback, so nothing is written before the last
--         decision, and XADD, which refuses a repeated id, is the first write (R26).
--
-- Keys    all start with the partition's tag {ns:p}: and no key holds text from outside after the tag except `recent`
--   meta       hash    law, partition, partitions, epoch, seq, last_now, policy_version, refused_gen, refused_since, trimmed,
--                      apart, apart_at, moved [[after, through, until], …] (R22), shortages (open ones), next_silence, silence_from (R12),
--                      overdue_at (ms, when an incomplete snapshot is to be told of, or 0),
--                      baskets, awaited (how many there are), replid (of its server: promotion.lua),
--                      followed (the last seq that this epoch has of the one before: rebuild.lua),
--                      opened (the seq of its first entry, once there was another epoch)
--   sessions   hash    process -> session: an older session's batch is refused whole (R5)
--   sku        hash    sku -> [format, seq, policy version, policy, safety stock, [location, n, …], location NUL …,
--                      [seller, …], sums: see floors.lua, empty places: see policies.lua]
--   places     hash    sku -> location NUL …, of a sku with many: its record has '+' instead
--   pos        hash    sku NUL location -> [format, held, committed, 0, [source number, …],
--                      [minute, units shipped and not counted yet, …], [supply by day, …],
--                      [units set aside: see asides.lua]]
--   supply     hash    sku NUL location NUL supply id -> [format, day, start, quantity, received, source, version, receipts,
--                      whether people were told that it is overdue, as of, [other sources' last words, …]]
--   recent:sku NUL location NUL source   hash   event digest, or g:h:l of a version as of which units of orders left
--                      -> packed version and quantity (R8, R15)
--   res        hash    identity -> record (domain/records.py, slot 1 holds the format) and, last, the id's bucket
--   ended      list    [seq, when, identity] of whole records without live units, oldest first (R18)
--   buried     list    the same of tombstones: res holds [format, fingerprint, bucket, state, seq, changes] for them
--   due        zset    reservation id -> deadline with grace, ms
--   orders     hash    order_ref -> [format, [id, …], [event, …], [[until, event that waits], …]] (R9)
--   awaited    zset    order_ref -> when the first of its waiting events is given up, ms
--   policy     hash    kind/id -> [version, JSON body]
--   exception  hash    kind US sku US location US source US reservation -> seq that raised it, while open; US is 0x1F
--   shortage   hash    sku NUL location -> [format, seq, short by, policy, victims, found, cursor, done], while open (R28)
--   adjusted   hash    event -> [body, seq, when] of a person's correction, for a day (R36)
--   adjustments list   those events, oldest first
--   campaign   hash    id -> [format, phase, seq since when it counts, [sku, …] of this partition] (R23)
--   holding    hash    channel NUL customer -> units held now (R32)
--   buyers:id  hash    sku NUL customer -> units held and bought in the campaign (R23); NUL ticket -> 1, it is used
--   authority  hash    location -> source, where none is listed (R24)
--   source     hash    source -> [format, version kind, generation, lag ms, when heard, whether it sends heartbeats,
--                      whether it is silent, levels in a row that were too old, digest of the call that restarted it]
--   location   hash    location -> [format, fallback, seq that took it or 0, seq of what is to be rechecked or 0,
--                      [[key, body] of calls that moved its authority, …], source that counted before]
--   snapshot   hash    source -> its last snapshot: [format, id, seq, …], slots Q; in the first partition (R13)
--   parts:source hash  part of the source's last snapshot -> digest of its lines, negative until they are taken
--   sweep      hash    seq of a complete full snapshot -> what is left to do for it, slots V
--   cursor     hash    stream -> position below which all is settled (R15)
--   refused:g  hash    identity -> [fingerprint, outcome, shortfalls, detail], two generations (R18); call:n ->
--                      [seq, outcome, [], detail]
--   baskets    hash    identity -> [format, id, attempt, call, fingerprint, deadline or 0 once decided, [foreign sku, …]]
--   legs       hash    basket id -> [format, attempt, home's seq applied or 0, deadline, lines, first seq here, client,
--                      channel, customer, campaign]
--   undecided  zset    id of a basket or leg here that is not decided -> deadline, ms
--   contended  hash    sku NUL location -> units of undecided legs; and RS seller NUL sku
--   following  hash    basket id -> home's seq that not all legs may have applied
--   witness    hash    process -> epoch and highest seq it saw, told while the ledger is not the one it knows (R2)
--   quota      hash    client and class -> {left, when, {process: {wanted a second, when}, …}}
--   room:id:at string  of an opening: arrivals at a campaign's waiting room, admission and its pace, as a map
--   early:id:n string  of the sale that counts since n: who arrived before it opened, as a HyperLogLog
--   rebuild    hash    token of the process that rebuilds the partition; others watch it while they write (storing.py)
--   progress   hash    phase, done and total of that, for people
--   outbox     stream  <last seq of the batch>-0 -> f format, e msgpack array of entries
--
-- Outcomes are the numbers of domain/outcomes.py; the rules, with their reasons, are in domain/rules.

local FORMAT = 1
local GRACE_MS = 2000
local DEFAULT_TTL_MS = 600000
local CHANGES_MAX = 32
local WHOLE_MS = 900000
local TOMBSTONE_MS = 86400000
local TOMBSTONE_CHANGES = 4
local RETIRE_MAX = 256
local OTHERS_MAX = 10
local EXPIRIES_MAX = 64
local PROTECTED_MAX = 8
local SEPARATOR = '\31' -- domain/sellers.py
local BY_TIME = 0 -- generation of adjusters' changes: domain/rules/stock.py
local OVERLAP_MS = 60000
local REWOUND_AFTER = 100
local GENERATION_MAX = 65535
local MOVES_MAX = 8
local RECENT_MAX = 4096
local RECENT_CUT = 1024
local PENDING_MAX = 1024
local TOLD_MAX = 8
local ASIDE_EVENTS_MAX = 32
local ASIDES_MAX = 32
local GROUPS_MAX = 8
local ANNOUNCED_MAX = 8
local ORDER_IDS_MAX = 64
local ORDER_EVENTS_MAX = 32
local AWAITED_MAX = 10000
local AWAIT_MS = 900000
local GIVEN_UP_MAX = 256
local RECEIPTS_MAX = 64
local ADJUSTED_CUT = 2
local REFUSED_MS = 60000
local REFUSED_MAX = 100000
local EMPTY_MIN = 4 -- empty places worth remembering
local OPEN_MAX = 10000 -- exceptions that a partition remembers as open
local PLACES_MAX = 128 -- bytes of a location list inside the sku's record
local INCOMPLETE_MS = 1800000
local OVER_MAX = 8
local FIGURES_MAX = 10
local GUARD_PERCENT = 20
local CHUNK = 4000 -- arguments of one bulk call: Lua's unpack fails at 8,000

local CLOCK = { APART_MS = 60000, TOLD_MS = 60000, OUTAGE_MS = 5000, REOPEN_MS = 30000 } -- domain/rules/clock.py

local SHIPPED_BUCKET_MS = 60000
local SHIPPED_COUNTED_MS = 60000

-- domain/outcomes.py
local O = {
  APPLIED = 1, REPLAYED = 2, QUOTED = 3,
  SETTLED = 10, STALE = 11, INCLUDED = 12, DUPLICATE = 13, LATE_DELTA = 14,
  AWAITED = 15, ORPHANED = 16, SNAPSHOT_OVER = 18,
  AGAIN = 20, CONTENDED = 21, NO_ROOM = 22,
  KEY_REUSED = 30, NOT_FOUND = 31, UNKNOWN_LOCATION = 32, UNKNOWN_LINE = 33, MEASURE_MISMATCH = 34,
  VERSION_KIND_MISMATCH = 35, VERSION_MISMATCH = 36, TIME_REQUIRED = 38, CONTRADICTED = 39, EXPIRED = 40, NOT_ACTIVE = 41,
  NO_AUTHORITY = 42, RECOVERING = 43, MOVED_ON = 46,
  UNKNOWN_CAMPAIGN = 50, CUSTOMER_REQUIRED = 51, CHANNEL_NOT_ALLOWED = 52, CAMPAIGN_CLOSED = 53, TICKET_REQUIRED = 54, LIMIT_EXCEEDED = 60,
  INSUFFICIENT = 70,
}

-- Tags of commands and of entries: domain/commands.py, domain/entries.py. Tables, because a chunk has 200 locals.
local C = {
  LEVEL = 1, DELTA = 2, CURSOR = 3, STATUS = 4, INCOMING = 5, RECEIVED = 6, OVERDUE = 41, RECALL = 50, TELL = 7, BACK = 8, INCLUDE = 40, RESERVE = 10, CONFIRM = 11, RELEASE = 12,
  EXTEND = 13, FULFIL = 14, ACKNOWLEDGE = 15, TRANSFER = 16, AFFECT = 17, POLICY = 20, RAISE = 26, RESOLVE = 27,
  PART = 23, ZERO = 24, SNAPSHOTDECIDE = 25,
  HEARTBEAT = 18, TOUCH = 37, MOVE = 19, RESTART = 21, RECHECK = 22, ADJUST = 28, REPAIR = 38, PUTBACK = 39,
  OPEN = 30, TAKE = 31, DECIDE = 32, ABORT = 33, DROP = 34, FOLLOWHOME = 35, FOLLOWED = 36,
}
local E = {
  OPENED = 1, LEVEL = 2, DELTA = 3, AUTHORITY = 4, SOURCE = 5, CURSOR = 6, SHORTAGE = 7, AFFECTED = 8, CLOSED = 9,
  HELD = 10, COMMITTED = 11, RELEASED = 12, EXTENDED = 13, EXPIRED = 14, FULFILLED = 15, ACKNOWLEDGED = 16, TRANSFERRED = 17, POLICY = 20,
  STATUS = 21, EXPECTED = 22, RECEIVED = 23, MOVED = 24, APART = 25, CAMPAIGNOPENED = 26, CAMPAIGNCLOSED = 27,
  RAISED = 40, RESOLVED = 41, TOLD = 42, SHIPMENT = 43, ASIDE = 44, GIVENUP = 45, SERVED = 64, RETURN = 46, ADJUSTED = 47,
  FALLBACK = 50, RETURNED = 51, AUTHORITYMOVED = 52, SILENT = 53, HEARD = 54, TOUCHED = 68, RESTARTED = 55, RECOUNTED = 56,
  BASKETOPENED = 30, BASKETABORTED = 31, LEGTAKEN = 32, LEGDROPPED = 33, LEGFOLLOWED = 34, BASKETFOLLOWED = 65,
  BEGUN = 60, PARTSEEN = 61, SNAPSHOTMOVED = 62, MISSING = 63, REPAIRED = 66, PUTBACK = 67,
}

-- Slots of a position, of a source's number inside it, of a sku, a reservation, a line and an allocation.
local P_HELD, P_COMMITTED, P_SOURCES, P_SHIPPED, P_SUPPLY, P_ASIDE = 2, 3, 5, 6, 7, 8 -- the last only where there is any
local N_SOURCE, N_NUMBER, N_LEVEL, N_VERSION, N_TIE, N_FLOOR, N_AS_OF = 1, 2, 3, 4, 5, 6, 7
local N_INCLUDED, N_PENDING = 8, 9 -- acknowledged units the level counts; {generation, high, low, units, …} it will
local N_UNSELLABLE, N_STATUS = 10, 11 -- units; {generation, high, low, tie} of the last status, or {}
local N_LEVEL_AT, N_MARKS = 12, 13 -- ms; {seq of the fallback it ended, 1 if uncertain, newest change forgotten}, or {}
local N_TOUCHED = 14 -- {ms, generation, high, low} since when it is known to be another; only while it is
local U = { KIND = 2, GENERATION = 3, LAG = 4, HEARD = 5, BEATS = 6, SILENT = 7, OLDER = 8, RESTART = 9 } -- of a source
local Y = { FALLBACK = 2, SINCE = 3, RECHECK = 4, MOVES = 5, BEFORE = 6 } -- of a location
local S = { SEQ = 2, VERSION = 3, POLICY = 4, SAFETY = 5, SAFETY_AT = 6, LOCATIONS = 7, SELLERS = 8, SUMS = 9, EMPTY = 10 }
local W = { NAME = 1, PROTECTION = 2, CAP = 3, USED = 4, SINCE = 5, VERSION = 6 } -- of a seller
local Q = { ID = 2, SEQ = 3, KIND = 4, VERSION = 5, PARTS = 6, FULL = 7, LOCATIONS = 8, AS_OF = 9, SINCE = 10, STATE = 11, OVERDUE = 12,
  ARRIVED = 13, OVER = 14 } -- of a snapshot
local V = { SOURCE = 2, ID = 3, KIND = 4, VERSION = 5, LOCATIONS = 6, AS_OF = 7, STATE = 8, COUNTS = 9 } -- of a sweep
local R_EXPIRES, R_SEQ, R_FIRST, R_FINGERPRINT, R_CLIENT, R_CHANNEL, R_CUSTOMER, R_ORDER, R_CAMPAIGN = 3, 4, 5, 6, 7, 8, 9, 10, 11
local R_LINES, R_CHANGES, R_SINCE, R_BUCKET = 13, 14, 15, 16
local T = { FINGERPRINT = 2, BUCKET = 3, STATE = 4, SEQ = 5, CHANGES = 6 } -- of a tombstone
local IN_PART = 'fulfilled-in-part' -- state of a tombstone
local L_ID, L_SKU, L_ALLOCATIONS, L_NEEDED = 1, 2, 4, 5 -- the day only of lines that have one
local A_SUPPLY = 2
local A_LOCATION, A_HELD, A_COMMITTED, A_ACKNOWLEDGED, A_FULFILLED, A_RELEASED, A_EXPIRED = 1, 3, 4, 5, 6, 7, 8
local A_COUNTED_BY, A_COUNTED = 9, 10 -- not written any more
local A_TOLD = 11 -- {minute, units, uncounted, …} that left by the word of others; only where there are any
local A_GONE, A_AHEAD, A_TALLIES = 12, 13, 14 -- tallies.lua; only where one of them says something

-- What carries out a command, by its tag: each part adds its own.
local handlers = {}

local legs = {} -- functions of contended.lua and legs.lua that others use, too

-- The server offers these to a running function only, not while the library is loaded.
local pack, unpack_one, call
local function bind()
  pack, unpack_one, call = cmsgpack.pack, cmsgpack.unpack, redis.call
end

-- The header of a msgpack array, so that packed parts can be joined without packing them again.
local function array_header(n)
  if n < 16 then return string.char(0x90 + n) end
  if n < 65536 then return struct.pack('>BH', 0xdc, n) end
  return struct.pack('>BI4', 0xdd, n)
end

-- A short text as msgpack, without a call for it.
local function pack_text(text)
  if #text < 32 then return string.char(0xa0 + #text) .. text end
  return pack(text)
end

-- Order of bytes, which is the order of code points. Lua's own < follows the server's locale.
local function bytes_less(a, b)
  local n = math.min(#a, #b)
  for i = 1, n do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then return x < y end
  end
  return #a < #b
end

-- Versions are {generation, high, low}; compared slot by slot because 63 bits do not fit a double.
local function version_less(a, b)
  if a[1] ~= b[1] then return a[1] < b[1] end
  if a[2] ~= b[2] then return a[2] < b[2] end
  return a[3] < b[3]
end

-- A reservation id is a bucket of three letters and an identity, which client and Idempotency-Key make alone: the
-- same key with another basket finds the same record.
local function identity_of(id) return string.sub(id, 4) end

local function position_key(sku, location) return sku .. '\0' .. location end
