-- Units set aside: they are there by the number, and nobody can have them; domain/rules/asides.py gives the reasons. An
-- item is {kind, source, version, minute, units, [event, …]}; one of each kind and source.

local asides = {}

-- Remember units with those of the same kind and source.
function asides.note(b, p, source, kind, units, version, event)
  local found
  p[P_ASIDE] = p[P_ASIDE] or {}
  for _, x in ipairs(p[P_ASIDE]) do
    if x[1] == kind and x[2] == source then found = x end
  end
  if not found then
    found = { kind, source, version, 0, 0, {} }
    p[P_ASIDE][#p[P_ASIDE] + 1] = found
  end
  if version_less(found[3], version) then found[3] = version end
  found[4], found[5] = math.floor(b.now / SHIPPED_BUCKET_MS) * SHIPPED_BUCKET_MS, found[5] + units
  found[6][#found[6] + 1] = event
  if #found[6] > ASIDE_EVENTS_MAX then table.remove(found[6], 1) end
  return found
end

-- Subtract units of a position that its number still counts.
function asides.add(b, sku, location, source, units, version, event, cause)
  local found = asides.note(b, position_record(b, sku, location), source, 'short', units, version, event)
  local seq = next_seq(b)
  touch(b, sku, seq)
  log(b, pack({ E.ASIDE, seq, b.now, '', cause, sku, location, source, units, version, found[4], event,
    { balance(b, sku, location) } }))
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

-- The authority's level knows what its own people did not find before it, and what others did not long enough before.
function asides.level_knows(p, source, version, as_of)
  keep_if(p, function(x)
    if x[1] ~= 'short' then return true end
    if x[2] == source then return not version_less(x[3], version) end
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
