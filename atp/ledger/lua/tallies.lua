-- Tallies: what sources told of an allocation's committed units, and what follows from it in no order at all;
-- domain/tallies.py gives the reasons. A tally is {source, counts, named, shipped, short}, each of the last four flat
-- {units, generation, high, low, …} in the order of versions; what follows from it is in steps of {version, units}.

local tallies = {}

local function version_equal(a, b) return a[1] == b[1] and a[2] == b[2] and a[3] == b[3] end

-- Slots behind the quantities are there only where one of them says something.
function tallies.fill(a)
  if a[A_TALLIES] then return end
  a[A_COUNTED_BY], a[A_COUNTED], a[A_TOLD] = a[A_COUNTED_BY] or '', a[A_COUNTED] or {}, a[A_TOLD] or {}
  a[A_GONE], a[A_AHEAD], a[A_TALLIES] = a[A_GONE] or 0, a[A_AHEAD] or 0, {}
end

function tallies.find(a, source)
  for _, tally in ipairs(a[A_TALLIES] or {}) do
    if tally[1] == source then return tally end
  end
end

function tallies.of(a, source)
  tallies.fill(a)
  local found = tallies.find(a, source)
  if not found then
    found = { source, {}, {}, {}, {} }
    local all, at = a[A_TALLIES], 1
    while all[at] and bytes_less(all[at][1], source) do at = at + 1 end
    table.insert(all, at, found)
  end
  return found
end

function tallies.leave(a, units)
  tallies.fill(a)
  a[A_GONE] = a[A_GONE] + units
end

function tallies.ever_committed(a) return a[A_COMMITTED] + a[A_FULFILLED] + (a[A_GONE] or 0) end

function tallies.units_in(groups)
  local units = 0
  for i = 1, #(groups or {}), 4 do units = units + groups[i] end
  return units
end

local function steps_of(groups)
  local steps = {}
  for i = 1, #(groups or {}), 4 do
    steps[#steps + 1] = { { groups[i + 1], groups[i + 2], groups[i + 3] }, groups[i] }
  end
  return steps
end

local function flat(steps)
  local groups = {}
  for _, step in ipairs(steps) do
    local n, version = #groups, step[1]
    groups[n + 1], groups[n + 2], groups[n + 3], groups[n + 4] = step[2], version[1], version[2], version[3]
  end
  return groups
end

-- The same with more units as of a version.
function tallies.add(groups, units, version)
  local steps, at = steps_of(groups), 1
  while steps[at] and version_less(steps[at][1], version) do at = at + 1 end
  if steps[at] and version_equal(steps[at][1], version) then
    steps[at][2] = steps[at][2] + units
  else
    table.insert(steps, at, { version, units })
  end
  if #steps > GROUPS_MAX then
    steps[2][2] = steps[2][2] + steps[1][2]
    table.remove(steps, 1)
  end
  return flat(steps)
end

-- The source's number is net of `units` of all that were ever committed, as of a version; whether that is news.
function tallies.name_all(tally, units, version)
  local counted, left = 0, {}
  for _, step in ipairs(steps_of(tally[2])) do
    if not version_less(version, step[1]) then counted = counted + step[2] end
  end
  if counted >= units then return false end
  for _, step in ipairs(steps_of(tally[3])) do
    if not version_less(version, step[1]) and step[2] >= units then return false end
    if version_less(step[1], version) or step[2] > units then left[#left + 1] = step end
  end
  local at = 1
  while left[at] and version_less(left[at][1], version) do at = at + 1 end
  table.insert(left, at, { version, units })
  left[GROUPS_MAX + 1] = nil
  tally[3] = flat(left)
  return true
end

-- Take units out of the steps, lowest versions first, onto `taken`; returns how many there were.
local function take(steps, units, taken)
  local found = 0
  while found < units and steps[1] do
    local n = math.min(units - found, steps[1][2])
    taken[#taken + 1] = { steps[1][1], n }
    found = found + n
    if n < steps[1][2] then steps[1] = { steps[1][1], steps[1][2] - n } else table.remove(steps, 1) end
  end
  return found
end

-- From which versions on how many more units are counted, whatever became of them; never more than there were.
local function counted_steps(a, tally)
  local found, total, most, at = {}, 0, tallies.ever_committed(a), {}
  local counts, named = steps_of(tally[2]), steps_of(tally[3])
  for _, steps in ipairs({ counts, named }) do
    for _, step in ipairs(steps) do at[#at + 1] = step[1] end
  end
  table.sort(at, version_less)
  for _, version in ipairs(at) do
    local reached = 0
    for _, step in ipairs(counts) do
      if not version_less(version, step[1]) then reached = reached + step[2] end
    end
    for _, step in ipairs(named) do
      if not version_less(version, step[1]) then reached = math.max(reached, step[2]) end
    end
    reached = math.min(reached, most)
    if reached > total then
      found[#found + 1] = { version, reached - total }
      total = reached
    end
  end
  return found
end

-- From which version on a level knows of units that left: of their leaving, or of their being counted before it.
local function match(counted, groups, found)
  for _, group in ipairs(steps_of(groups)) do
    local before = {}
    while counted[1] and not version_less(group[1], counted[1][1]) do before[#before + 1] = table.remove(counted, 1) end
    local rest = group[2] - take(before, group[2], found)
    if rest > 0 then found[#found + 1] = { group[1], rest } end
    for i = #before, 1, -1 do table.insert(counted, 1, before[i]) end
  end
end

local function merged(steps)
  local found = {}
  for _, step in ipairs(steps) do
    local same
    for _, known in ipairs(found) do
      if version_equal(known[1], step[1]) then same = known end
    end
    if same then same[2] = same[2] + step[2] else found[#found + 1] = { step[1], step[2] } end
  end
  return found
end

local NOTHING = { '', {}, {}, {}, {} }

local function told_units(a)
  local units, told = 0, a[A_TOLD] or {}
  for i = 2, #told, 3 do units = units + told[i] end
  return units
end

-- What one source's tally says: {live, left, missing, unmatched, deficit}.
function tallies.standing(a, tally)
  tally = tally or NOTHING
  local counted, left, missing, shipped, dropped = counted_steps(a, tally), {}, {}, told_units(a), {}
  match(counted, tally[4], left)
  match(counted, tally[5], missing)
  for _, known in ipairs(a[A_TALLIES] or {}) do shipped = shipped + tallies.units_in(known[4]) end
  local others = shipped - tallies.units_in(tally[4])
  local unmatched = others - take(counted, others, left)
  local gone = a[A_FULFILLED] + (a[A_GONE] or 0) - shipped - tallies.units_in(tally[5])
  local deficit = unmatched + gone - take(counted, gone, dropped)
  local surplus = -a[A_COMMITTED]
  for _, step in ipairs(counted) do surplus = surplus + step[2] end
  take(counted, surplus, dropped)
  return { counted, merged(left), merged(missing), unmatched, deficit }
end

-- Acknowledged units that are still promised, by the source that has most of them.
function tallies.most_live(a)
  local most = 0
  for _, tally in ipairs(a[A_TALLIES]) do
    local live = 0
    for _, step in ipairs(tallies.standing(a, tally)[1]) do live = live + step[2] end
    most = math.max(most, live)
  end
  return most
end
