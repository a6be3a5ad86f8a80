-- Retention: domain/rules/retention.py gives the reasons.

local function state_of(r)
  local t = units_of(r)
  if t.fulfilled > 0 then return t.expired > 0 and IN_PART or 'fulfilled' end
  return t.expired > 0 and 'expired' or 'released'
end

local function tombstone_of(r)
  local changes, last = {}, r[R_CHANGES]
  for i = math.max(1, #last - TOMBSTONE_CHANGES + 1), #last do changes[#changes + 1] = last[i] end
  return { FORMAT, r[R_FINGERPRINT], r[R_BUCKET], state_of(r), r[R_SEQ], changes }
end

-- The items of a queue that are due, oldest first and bounded; one look at the head in the common case.
local function due_items(key, is_due)
  local found, head = {}, call('LINDEX', key, 0)
  if not head or not is_due(unpack_one(head)) then return found end
  for _, packed_item in ipairs(call('LRANGE', key, 0, RETIRE_MAX - 1)) do
    local item = unpack_one(packed_item)
    if not is_due(item) then break end
    found[#found + 1] = item
  end
  return found
end

local function retire(b)
  local items = due_items(b.prefix .. 'ended', function(item)
    return item[1] <= b.trimmed and item[2] + WHOLE_MS <= b.now
  end)
  b.retired = #items
  local unread = {}
  for _, item in ipairs(items) do
    if b.raw[item[3]] == nil then unread[#unread + 1] = item[3] end
  end
  fetch(b.prefix .. 'res', unread, b.raw)
  if b.basket_count > 0 then legs.read_baskets(b, unread) end
  for _, item in ipairs(items) do
    local identity = item[3]
    local r = find_reservation(b, identity)
    if r and not r.tombstone and r[R_SEQ] == item[1] and b.basket_count > 0 and legs.lag(b, r, identity) then
      b.ended[#b.ended + 1] = pack({ item[1], b.now, identity }) -- not before its legs have heard of the end
    elseif r and not r.tombstone and r[R_SEQ] == item[1] then
      local tombstone = tombstone_of(r)
      naming.unname(b, r[R_BUCKET] .. identity, r[R_ORDER])
      b.raw[identity] = pack(tombstone)
      tombstone.tombstone = true
      b.reservations[identity] = tombstone
      b.dirty_reservations[identity] = true
      b.buried[#b.buried + 1] = pack(item)
    end
  end
  local old = due_items(b.prefix .. 'buried', function(item) return item[2] + TOMBSTONE_MS <= b.now end)
  b.unburied = #old
  for _, item in ipairs(old) do
    local r = find_reservation(b, item[3])
    if r and r.tombstone and r[T.SEQ] == item[1] then -- it may have come back to life
      b.removed[#b.removed + 1] = item[3]
      b.raw[item[3]], b.reservations[item[3]] = false, false
      b.dirty_reservations[item[3]] = nil
    end
  end
end

local function write_retention(b)
  if b.retired > 0 then call('LPOP', b.prefix .. 'ended', b.retired) end
  if b.unburied > 0 then call('LPOP', b.prefix .. 'buried', b.unburied) end
  if #b.removed > 0 then call('HDEL', b.prefix .. 'res', unpack(b.removed)) end
  bulk('RPUSH', b.prefix .. 'ended', b.ended)
  bulk('RPUSH', b.prefix .. 'buried', b.buried)
end
