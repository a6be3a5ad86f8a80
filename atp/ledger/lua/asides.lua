-- Units set aside: they are there by the number, and nobody can have them; domain/rules/asides.py gives the reasons. An
-- item is {kind, source, version, minute, units, [event, …]}; one of each kind, source and version.

local asides = {}

-- Of more versions than are kept apart the two lowest become one, as of the later.
local function merge(p, source, kind)
  local same = {}
  for i, x in ipairs(p[P_ASIDE]) do
    if x[1] == kind and x[2] == source then same[#same + 1] = { x[3], i } end
  end
  if #same <= ASIDES_MAX then return end
  table.sort(same, function(x, y) return version_less(x[1], y[1]) end)
  local old, into = p[P_ASIDE][same[1][2]], p[P_ASIDE][same[2][2]]
  into[4], into[5] = math.max(into[4], old[4]), into[5] + old[5]
  local events = {}
  for _, from in ipairs({ old[6], into[6] }) do
    for _, event in ipairs(from) do events[#events + 1] = event end
  end
  while #events > ASIDE_EVENTS_MAX do table.remove(events, 1) end
  into[6] = events
  table.remove(p[P_ASIDE], same[1][2])
end

-- Remember units with those of the same kind, source and version, or forget some; returns how many that changed.
function asides.note(b, p, source, kind, units, version, event)
  local found, at
  for i, x in ipairs(p[P_ASIDE] or {}) do
    if x[1] == kind and x[2] == source and not version_less(x[3], version) and not version_less(version, x[3]) then
      found, at = x, i
    end
  end
  units = math.max(units, found and -found[5] or 0)
  if units == 0 then return 0 end
  p[P_ASIDE] = p[P_ASIDE] or {}
  if not found then
    at = #p[P_ASIDE] + 1
    found = { kind, source, version, 0, 0, {} }
    p[P_ASIDE][at] = found
  end
  found[5] = found[5] + units
  if units > 0 then
    found[4] = math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS
    found[6][#found[6] + 1] = event
    if #found[6] > ASIDE_EVENTS_MAX then table.remove(found[6], 1) end
  end
  if found[5] == 0 then table.remove(p[P_ASIDE], at) end
  merge(p, source, kind)
  return units
end

function asides.has(p, source, kind, event)
  for _, x in ipairs(p and p[P_ASIDE] or {}) do
    if x[1] == kind and x[2] == source then
      for _, known in ipairs(x[6]) do
        if known == event then return true end
      end
    end
  end
  return false
end

local function keep_if(p, wanted)
  if not p[P_ASIDE] or not p[P_ASIDE][1] then return end
  local left = {}
  for _, x in ipairs(p[P_ASIDE]) do
    if wanted(x) then left[#left + 1] = x end
  end
  p[P_ASIDE] = left
end

-- The authority's level knows what its own people did not find by then, and what others did not long enough before.
function asides.level_knows(p, source, version, as_of)
  if not p[P_ASIDE] then return end
  keep_if(p, function(x)
    if x[1] ~= 'short' then return true end
    if x[2] == source then return version_less(version, x[3]) end
    return x[4] >= as_of - SHIPPED_COUNTED_MS - SHIPPED_BUCKET_MS
  end)
end

-- A source's status counts what came back unfit before it; returns the units that came later.
function asides.status_knows(p, source, version)
  keep_if(p, function(x) return x[1] ~= 'unfit' or x[2] ~= source or version_less(version, x[3]) end)
  local later = 0
  for _, x in ipairs(p[P_ASIDE] or {}) do
    if x[1] == 'unfit' and x[2] == source then later = later + x[5] end
  end
  return later
end
