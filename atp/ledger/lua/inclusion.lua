-- Inclusion: which commitments a number of measure `available` is already net of; domain/rules/inclusion.py gives the
-- reasons. What each source told is kept with the allocations (tallies.lua); its number sums up what is counted.

local inclusion = {}

function inclusion.number_record(p, source)
  local n = find_number(p, source)
  if not n then
    n = { source, 0, false, { 0, 0, 0 }, 0, { 0, 0, 0 }, 0, 0, {}, 0, {}, 0, {} }
    p[P_SOURCES][#p[P_SOURCES] + 1] = n
  end
  return n
end

-- Where the units of a version wait in the flat list of a number, or nil.
function inclusion.pending_at(n, version)
  local pending = n[N_PENDING]
  for i = 1, #pending, 4 do
    if pending[i] == version[1] and pending[i + 1] == version[2] and pending[i + 2] == version[3] then return i end
  end
end

function inclusion.drop_pending(pending, at)
  for _ = 1, 4 do table.remove(pending, at) end
end

-- The source whose number is net of units that it acknowledged, or '' for all others.
function inclusion.counting(b, sku, a, source)
  if a[A_SUPPLY] ~= '' or source == '' or b.foreign[sku] or measure_of(b, source) ~= 'available' then return '' end
  return source
end

-- Units of the allocation that the source has not acknowledged, whatever became of them.
function inclusion.may_acknowledge(b, sku, a, source)
  local tally = tallies.find(a, inclusion.counting(b, sku, a, source))
  return math.max(0, tallies.ever_committed(a) - tallies.units_in(tally and tally[2]))
end

-- The source counts so many more units of the allocation, as of a version.
function inclusion.acknowledge(b, sku, a, source, version, units)
  if units == 0 then return end
  local by = inclusion.counting(b, sku, a, source)
  local n = by ~= '' and find_number(find_position(b, sku, a[A_LOCATION]), by)
  if n and version_less(n[N_VERSION], version) and #n[N_PENDING] >= 4 * PENDING_MAX
      and not inclusion.pending_at(n, version) then
    by = ''
  end
  local tally = tallies.of(a, by)
  tally[2] = tallies.add(tally[2], units, by ~= '' and version or { 0, 0, 0 })
end

-- The same of units that are promised now, by a call: those that left before are none of them. No source means the
-- location's authority, and no version its next level.
function inclusion.acknowledge_live(b, sku, a, source, version, units)
  local by = source ~= '' and source or authority_of(b, a[A_LOCATION])
  if not version then
    local p = not b.foreign[sku] and find_position(b, sku, a[A_LOCATION])
    local n = p and find_number(p, by)
    local last = n and n[N_VERSION] or { 0, 0, 0 }
    version = { last[1], last[2], last[3] + 1 }
  end
  if units > 0 then
    units = units + tallies.standing(a, tallies.find(a, inclusion.counting(b, sku, a, by)))[5]
  end
  inclusion.acknowledge(b, sku, a, by, version, units)
end

-- A level counts every acknowledgement up to its version.
function inclusion.include(n)
  local pending = n[N_PENDING]
  for at = #pending - 3, 1, -4 do
    if not version_less(n[N_VERSION], { pending[at], pending[at + 1], pending[at + 2] }) then
      n[N_INCLUDED] = n[N_INCLUDED] + pending[at + 3]
      inclusion.drop_pending(pending, at)
    end
  end
end
