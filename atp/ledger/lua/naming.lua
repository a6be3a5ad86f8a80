-- Naming: which reservations an order_ref names here, and which events wait for one; domain/rules/naming.py gives the
-- reasons. An order is [format, [id, …], [event, …], [[until, TellOrder], …]].

local naming = { IDS = 2, EVENTS = 3, WAITING = 4 }

-- What an event speaks of: an order or a reservation.
function naming.name_of(c) return c[5] ~= '' and c[5] or c[3] end

local function find_order(b, ref) return lookup(b, b.orders, 'orders', ref) end

local function order_record(b, ref)
  local order = find_order(b, ref)
  if not order then
    order = { FORMAT, {}, {}, {} }
    b.orders[ref] = order
  end
  b.dirty_orders[ref] = true
  return order
end

local function tidy(b, ref)
  local order = b.orders[ref]
  b.dirty_orders[ref] = true
  if #order[naming.IDS] == 0 and #order[naming.WAITING] == 0 then b.orders[ref] = false end
end

-- Find the reservation by its order_ref from now on.
function naming.name(b, id, ref)
  if ref == '' then return end
  local ids = order_record(b, ref)[naming.IDS]
  for _, known in ipairs(ids) do
    if known == id then return end
  end
  if #ids < ORDER_IDS_MAX then ids[#ids + 1] = id end
end

function naming.unname(b, id, ref)
  local order = ref ~= '' and find_order(b, ref)
  if not order then return end
  local left = {}
  for _, known in ipairs(order[naming.IDS]) do
    if known ~= id then left[#left + 1] = known end
  end
  order[naming.IDS] = left
  tidy(b, ref)
end

function naming.ids(b, ref)
  local order = find_order(b, ref)
  return order and order[naming.IDS] or {}
end

-- The reservations of an order, oldest first: {id, record}.
function naming.named(b, ref)
  local found = {}
  for _, id in ipairs(naming.ids(b, ref)) do
    local r = find_by_id(b, id)
    if r and not r.tombstone then found[#found + 1] = { id, r } end
  end
  return found
end

-- The skus of an order's reservations, wherever those live.
function naming.skus(b, ref)
  local found, known = {}, {}
  for _, named in ipairs(naming.named(b, ref)) do
    for _, line in ipairs(named[2][R_LINES]) do
      if not known[line[L_SKU]] then found[#found + 1] = line[L_SKU] end
      known[line[L_SKU]] = true
    end
  end
  return found
end

function naming.knows_event(b, ref, event)
  local order = ref ~= '' and find_order(b, ref)
  for _, known in ipairs(order and order[naming.EVENTS] or {}) do
    if known == event then return true end
  end
  return false
end

function naming.remember_event(b, ref, event)
  local order = find_order(b, ref)
  if not order then return end
  local events = order[naming.EVENTS]
  events[#events + 1] = event
  if #events > ORDER_EVENTS_MAX then table.remove(events, 1) end
  b.dirty_orders[ref] = true
end

function naming.waiting(b, ref)
  local order = ref ~= '' and find_order(b, ref)
  return order and order[naming.WAITING] or {}
end

-- Keep these events waiting, and true when the first of them is given up.
function naming.keep_waiting(b, ref, waiting)
  local order = order_record(b, ref)
  local first, waited = nil, #order[naming.WAITING] > 0
  order[naming.WAITING] = waiting
  for _, item in ipairs(waiting) do first = math.min(first or item[1], item[1]) end
  if waited ~= (first ~= nil) then b.awaited_count = b.awaited_count + (first and 1 or -1) end
  b.awaited[ref] = first or false
  if not first then tidy(b, ref) end
end

-- Keep true when the first event that waits for the order is given up; how many orders are waited for stays.
function naming.schedule(b, ref)
  local first = false
  for _, item in ipairs(naming.waiting(b, ref)) do first = math.min(first or item[1], item[1]) end
  b.awaited[ref] = first
end

function naming.may_wait(b, ref)
  local waiting = naming.waiting(b, ref)
  if #waiting > 0 then return #waiting < ORDER_EVENTS_MAX end
  return b.awaited_count < AWAITED_MAX
end

local function with_lines(c, lines)
  local copy = { unpack(c, 1, 16) }
  copy[12] = lines
  return copy
end

-- What is left of an event waits for a reservation to come; returns {until, what}.
function naming.wait(b, c, left)
  local until_, waiting = b.now + AWAIT_MS, {}
  local name = naming.name_of(c)
  for i, item in ipairs(naming.waiting(b, name)) do waiting[i] = item end
  local waits = { until_, with_lines(c, left) }
  waiting[#waiting + 1] = waits
  naming.keep_waiting(b, name, waiting)
  return waits
end

-- A person has to find out what these units belong to.
function naming.orphan(b, c, left)
  local kind, name = c[2] == 'fulfilled' and 'orphan-shipment' or 'orphan-order', naming.name_of(c)
  if #left == 0 then exceptions.raise(b, kind, c[15], '', '', c[4], name, 'all of it ' .. c[2]) end
  for _, line in ipairs(left) do
    local detail = string.format('%.0f units %s', line[2], c[2])
    exceptions.raise(b, kind, c[15], line[1], line[3], c[4], name, detail)
  end
end

-- Tell people of events whose order never came, oldest first and bounded.
function naming.give_up(b)
  if b.awaited_count == 0 or b.apart then return end
  local due = call('ZRANGEBYSCORE', b.prefix .. 'awaited', '-inf', string.format('%.0f', b.now), 'LIMIT', 0, GIVEN_UP_MAX)
  for _, ref in ipairs(due) do
    local left = {}
    for _, item in ipairs(naming.waiting(b, ref)) do
      if item[1] <= b.now then
        local c = item[2]
        if c[16] ~= 'stock' then naming.orphan(b, c, c[12]) end
        log(b, pack({ E.GIVENUP, next_seq(b), b.now, '', c[15], ref, c[11] }))
      else
        left[#left + 1] = item
      end
    end
    naming.keep_waiting(b, ref, left)
  end
end

function naming.write(b)
  if next(b.dirty_orders) then
    write_fields(b.prefix .. 'orders', b.dirty_orders, function(ref) return b.orders[ref] and pack(b.orders[ref]) end)
  end
  if next(b.awaited) then
    write_scores(b.prefix .. 'awaited', b.awaited)
    call('HSET', b.prefix .. 'meta', 'awaited', b.awaited_count)
  end
end
