-- Bulk writes: as few calls as Lua's unpack allows.

local function bulk(command, key, arguments)
  for first = 1, #arguments, CHUNK do
    call(command, key, unpack(arguments, first, math.min(first + CHUNK - 1, #arguments)))
  end
end

-- Write a table of field -> value into one hash.
local function write_hash(key, fields, encode)
  local arguments, n = {}, 0
  for field, value in pairs(fields) do
    arguments[n + 1], arguments[n + 2] = field, encode and encode(field, value) or value
    n = n + 2
  end
  bulk('HSET', key, arguments)
end

-- Write the changed fields of a hash; those without a value go.
local function write_fields(key, changed, value_of)
  local kept, gone = {}, {}
  for field, change in pairs(changed) do
    local value = value_of(field, change)
    if value then
      kept[#kept + 1] = field
      kept[#kept + 1] = value
    else
      gone[#gone + 1] = field
    end
  end
  bulk('HSET', key, kept)
  bulk('HDEL', key, gone)
end

-- Write member -> score into one sorted set; those without a score go.
local function write_scores(key, scores)
  local added, removed = {}, {}
  for member, score in pairs(scores) do
    if score then
      added[#added + 1] = score
      added[#added + 1] = member
    else
      removed[#removed + 1] = member
    end
  end
  bulk('ZADD', key, added)
  bulk('ZREM', key, removed)
end
