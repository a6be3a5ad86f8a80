-- The batch: its clock, the records it has read, and what it will write.

local function new_batch(prefix, meta, now)
  return {
    shortages = {}, dirty_shortages = {}, shortage_count = tonumber(meta.shortages or 0),
    exceptions = {}, dirty_exceptions = {}, exception_count = tonumber(meta.exceptions or 0),
    snapshots = {}, dirty_snapshots = {}, parts = {}, sweeps = {}, dirty_sweeps = {},
    overdue_at = tonumber(meta.overdue_at or 0), overdue_changed = false,
    adjusted = {}, dirty_adjusted = {}, adjustments = {}, unadjusted = 0, -- adjusting.lua
    orders = {}, dirty_orders = {}, awaited = {}, awaited_count = tonumber(meta.awaited or 0),
    next_silence = tonumber(meta.next_silence or 0), silence_from = tonumber(meta.silence_from or 0),
    dirty_locations = {}, apart = false, moved = meta.moved and unpack_one(meta.moved) or {}, clock_changed = false,
    prefix = prefix, meta = meta, now = now, seq = tonumber(meta.seq), due_left = false,
    entries = {}, entry_count = 0,
    skus = {}, positions = {}, supplies = {}, reservations = {}, raw = {}, sources = {}, cursors = {}, refused = {},
    dirty_skus = {}, dirty_positions = {}, dirty_supplies = {}, dirty_reservations = {}, dirty_sources = {}, dirty_cursors = {},
    dirty_policies = {}, dirty_authorities = {}, new_refused = {}, due = {}, recent = {}, ranked = {},
    ended = {}, retired = 0, buried = {}, unburied = 0, unremembered = {}, removed = {}, trimmed = tonumber(meta.trimmed),
    policy_version = tonumber(meta.policy_version), network = tonumber(meta.network),
    baskets = {}, basket_count = tonumber(meta.baskets or 0), foreign = {}, following = {}, -- legs.lua
    floors = {}, watched = {}, watching = false, holding = {}, dirty_holding = {}, buyers = {}, closed = {},
    dirty_campaigns = {}, places = {}, dirty_places = {}, empty = {}, recounted = {},
    refused_gen = tonumber(meta.refused_gen), refused_since = tonumber(meta.refused_since), refused_count = nil,
  }
end

local function next_seq(b)
  b.seq = b.seq + 1
  return b.seq
end

local function log(b, packed)
  b.entry_count = b.entry_count + 1
  b.entries[b.entry_count] = packed
end

-- Fetch many fields of one hash into `into` with few calls; false marks what is not there.
local function fetch(key, fields, into, decode)
  for first = 1, #fields, CHUNK do
    local last = math.min(first + CHUNK - 1, #fields)
    local values = call('HMGET', key, unpack(fields, first, last))
    for i = first, last do
      local value = values[i - first + 1]
      into[fields[i]] = value and (decode and decode(value) or value) or false
    end
  end
end

-- One record, read now unless gather already did.
local function lookup(b, cache, key, field)
  local known = cache[field]
  if known == nil then
    local value = call('HGET', b.prefix .. key, field)
    known = value and unpack_one(value) or false
    cache[field] = known
  end
  return known
end

local function find_sku(b, sku) return lookup(b, b.skus, 'sku', sku) end

local function find_position(b, sku, location) return lookup(b, b.positions, 'pos', position_key(sku, location)) end

local function sku_record(b, sku)
  local s = find_sku(b, sku)
  if not s then
    s = { FORMAT, 0, 0, '', 0, {}, '', {}, {}, {} }
    b.skus[sku] = s
  end
  return s
end

-- The sku's locations as one text. A long list has a field of its own, so that it is not rewritten with the record.
local function places_text(b, s, sku)
  if s[S.LOCATIONS] ~= '+' then return s[S.LOCATIONS] end
  local text = b.places[sku]
  if not text then
    text = call('HGET', b.prefix .. 'places', sku)
    b.places[sku] = text
  end
  return text
end

local function add_place(b, s, sku, location)
  local text = places_text(b, s, sku)
  text = text == '' and location or text .. '\0' .. location
  if #text > PLACES_MAX then
    s[S.LOCATIONS], b.places[sku], b.dirty_places[sku] = '+', text, text
  else
    s[S.LOCATIONS] = text
  end
  b.dirty_skus[sku], b.ranked[sku], s[S.EMPTY] = true, nil, {}
end

local watch -- floors.lua

-- The position's record, to be changed; `place` is its key, if it is at hand.
local function position_record(b, sku, location, place)
  place = place or position_key(sku, location)
  local p, s = lookup(b, b.positions, 'pos', place), sku_record(b, sku)
  if s[S.SELLERS][1] or s[S.EMPTY][1] or (b.empty[sku] or 0) > 0 then watch(b, s, sku, location, place) end
  if not p then
    p = { FORMAT, 0, 0, 0, {}, {}, {} }
    b.positions[place] = p
    add_place(b, s, sku, location)
  end
  b.dirty_positions[place] = p
  return p
end

local function touch(b, sku, seq)
  sku_record(b, sku)[S.SEQ] = seq
  b.dirty_skus[sku] = true
end

local function safety_stock(s, location)
  local at = s[S.SAFETY_AT]
  if #at == 0 then return s[S.SAFETY] end
  for i = 1, #at, 2 do
    if at[i] == location then return at[i + 1] end
  end
  return s[S.SAFETY]
end

local function find_number(p, source)
  local numbers = p[P_SOURCES]
  for i = 1, #numbers do
    if numbers[i][N_SOURCE] == source then return numbers[i] end
  end
end
