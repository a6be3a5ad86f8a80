-- Touches: domain/rules/touching.py gives the reasons.

-- The number is another one as of the version, or right after its level for {0, 0, 0}; whether that is news.
local function mark_touched(b, n, version)
  local level, touched = n[N_VERSION], n[N_TOUCHED]
  if version[1] == 0 then version = { level[1], level[2], level[3] + 1 } end
  if not version_less(level, version) then return false end
  if touched and not version_less({ touched[2], touched[3], touched[4] }, version) then return false end
  n[N_LEVEL_AT], n[N_MARKS] = n[N_LEVEL_AT] or 0, n[N_MARKS] or {}
  n[N_TOUCHED] = { touched and touched[1] or b.now, version[1], version[2], version[3] }
  return true
end

-- The locations that a touch may speak of, in the order of their bytes, read at once.
local function touched_places(b, c)
  local s, found, wanted = find_sku(b, c[2]), {}, {}
  if not s then return found end
  for _, location in ipairs(locations_of(b, s, c[2])) do
    if c[3] == '' or c[3] == location then
      found[#found + 1] = location
      local place = position_key(c[2], location)
      if b.positions[place] == nil then wanted[#wanted + 1] = place end
    end
  end
  fetch(b.prefix .. 'pos', wanted, b.positions, unpack_one)
  table.sort(found, bytes_less)
  return found
end

handlers[C.TOUCH] = function(b, c)
  if c[8] > 0 and c[8] <= (b.cursors[c[7]] or 0) then return O.SETTLED, b.seq end
  if c[3] ~= '' and not b.policies.locations[c[3]] then return O.UNKNOWN_LOCATION, b.seq, nil, nil, c[3] end
  local ordered = c[5] ~= '' and c[5] == expected_kind(b, c[4], c[5])
  local source = source_record(b, c[4], ordered and c[5] or '', c[10])
  if c[9] > 0 then source[U.LAG] = math.max(0, b.now - c[9]) end
  local version = ordered and { source[3], c[6][1], c[6][2] } or { 0, 0, 0 }
  local told, waiting = false, {}
  for _, location in ipairs(touched_places(b, c)) do
    local p = find_position(b, c[2], location)
    local n = p and find_number(p, c[4])
    if n then
      told = true
      if mark_touched(b, n, version) then
        position_record(b, c[2], location)
        waiting[#waiting + 1] = location
      end
    end
  end
  if told and not waiting[1] then return O.INCLUDED, b.seq end
  local seq = next_seq(b)
  if waiting[1] then touch(b, c[2], seq) end
  log(b, pack({ E.TOUCHED, seq, b.now, '', c[10], c[2], c[3], c[4], waiting, version, c[7], c[8], c[9] }))
  return O.APPLIED, seq
end
