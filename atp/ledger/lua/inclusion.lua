-- Inclusion: which commitments a number of measure `available` is already net of; domain/rules/inclusion.py gives the
-- reasons. An allocation says {units, generation, high, low} of its counted units; a source's number sums them up.

local function number_record(p, source)
  local n = find_number(p, source)
  if not n then
    n = { source, 0, false, { 0, 0, 0 }, 0, { 0, 0, 0 }, 0, 0, {}, 0, {}, 0, {} }
    p[P_SOURCES][#p[P_SOURCES] + 1] = n
  end
  return n
end

-- Where the units of a version wait in the flat list of a number, or nil.
local function pending_at(n, version)
  local pending = n[N_PENDING]
  for i = 1, #pending, 4 do
    if pending[i] == version[1] and pending[i + 1] == version[2] and pending[i + 2] == version[3] then return i end
  end
end

local function drop_pending(pending, at)
  for _ = 1, 4 do table.remove(pending, at) end
end

-- Add units to where the allocation's counted units are; returns whether they are included.
local function change_counted(b, sku, a, units)
  if units == 0 then return false end
  local n = find_number(position_record(b, sku, a[A_LOCATION]), a[A_COUNTED_BY])
  local counted = a[A_COUNTED]
  local version = { counted[2], counted[3], counted[4] }
  if not version_less(n[N_VERSION], version) then
    n[N_INCLUDED] = n[N_INCLUDED] + units
    return true
  end
  local pending, at = n[N_PENDING], pending_at(n, version)
  if at then
    pending[at + 3] = pending[at + 3] + units
    if pending[at + 3] == 0 then drop_pending(pending, at) end
  else
    for _, value in ipairs({ version[1], version[2], version[3], units }) do pending[#pending + 1] = value end
  end
  return false
end

-- The source counts `units` more of the allocation from `version` on; no source is the location's authority and its
-- next level. Units counted before move to the newer version, or are dropped if another source counted them.
local function count_units(b, sku, a, source, version, units)
  local by = source ~= '' and source or authority_of(b, a[A_LOCATION])
  if units == 0 or by == '' or a[A_SUPPLY] ~= '' or b.foreign[sku] or measure_of(b, by) ~= 'available' then return end
  local n = number_record(position_record(b, sku, a[A_LOCATION]), by)
  if source == '' then version = { n[N_VERSION][1], n[N_VERSION][2], n[N_VERSION][3] + 1 } end
  local counted, kept = a[A_COUNTED] or {}, 0
  local before = counted[1] or 0
  if a[A_COUNTED_BY] == by then
    kept = before
    local older = { counted[2], counted[3], counted[4] }
    if version_less(version, older) then version = older end
  end
  if version_less(n[N_VERSION], version) and not pending_at(n, version) and #n[N_PENDING] >= 4 * PENDING_MAX then
    return
  end
  change_counted(b, sku, a, -before)
  a[A_COUNTED_BY], a[A_COUNTED] = by, { kept + units, version[1], version[2], version[3] }
  change_counted(b, sku, a, kept + units)
end

-- The source's number is net of all committed units of the allocation as of a version it has reached; whether that is
-- news. What the location's authority counts is not taken from it by another source's word. `c` is the level.
local function include_all(b, c, a, version)
  local by = a[A_COUNTED_BY] or ''
  if by ~= '' and by ~= c[4] and by == authority_of(b, c[3]) then return false end
  local news, counted = a[A_ACKNOWLEDGED] < a[A_COMMITTED], a[A_COUNTED] or {}
  a[A_ACKNOWLEDGED] = a[A_COMMITTED]
  if measure_of(b, c[4]) ~= 'available' then return news end
  local same = by == c[4] and counted[1] == a[A_COMMITTED]
  if same and not version_less(version, { counted[2], counted[3], counted[4] }) then return news end
  if counted[1] then change_counted(b, c[2], a, -counted[1]) end
  number_record(position_record(b, c[2], c[3]), c[4])
  a[A_COUNTED_BY], a[A_COUNTED] = c[4], { a[A_COMMITTED], version[1], version[2], version[3] }
  change_counted(b, c[2], a, a[A_COMMITTED])
  return true
end

-- Take up to `units` counted units out; returns how many of them the number that sells here was net of.
local function uncount(b, sku, a, units)
  local counted = a[A_COUNTED]
  local taken = counted and math.min(units, counted[1] or 0) or 0
  if taken == 0 then return 0 end
  a[A_ACKNOWLEDGED] = a[A_ACKNOWLEDGED] - taken
  local by = a[A_COUNTED_BY]
  local included = change_counted(b, sku, a, -taken)
  if taken < counted[1] then counted[1] = counted[1] - taken else a[A_COUNTED_BY], a[A_COUNTED] = '', {} end
  local alone = not on_fallback(b, find_position(b, sku, a[A_LOCATION]), a[A_LOCATION])
  return included and by == authority_of(b, a[A_LOCATION]) and alone and measure_of(b, by) == 'available' and taken or 0
end

-- A level counts every acknowledgement up to its version.
local function include(n)
  local pending = n[N_PENDING]
  for at = #pending - 3, 1, -4 do
    if not version_less(n[N_VERSION], { pending[at], pending[at + 1], pending[at + 2] }) then
      n[N_INCLUDED] = n[N_INCLUDED] + pending[at + 3]
      drop_pending(pending, at)
    end
  end
end
