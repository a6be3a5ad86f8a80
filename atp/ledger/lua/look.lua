-- look: plain reads of a partition's records, all as of one seq, for those who compare records with each other.
-- ARGV [[command, key, argument, …], …] -> {seq, answer, …}; nothing is decided and nothing written.

local looks = {}

local may_look = { HSCAN = true, ZSCAN = true, HMGET = true, ZMSCORE = true, HLEN = true, ZCARD = true }

function looks.records(keys, args)
  bind()
  local prefix = string.sub(keys[1], 1, -5)
  local seq = call('HGET', keys[1], 'seq')
  if not seq then return redis.error_reply('EMPTY no ledger here') end
  local found = { seq }
  for i, asked in ipairs(unpack_one(args[1])) do
    if not may_look[asked[1]] then return redis.error_reply('ERR ' .. asked[1] .. ' is not looked with') end
    found[i + 1] = call(asked[1], prefix .. asked[2], unpack(asked, 3))
  end
  return found
end

-- Whether a sku's sums, or what it knows of empty places, are not what its positions say.
local function sums_differ(b, s, sku)
  local sums, sellers = s[S.SUMS], ranked_sellers(b, s)
  if sums[1] == b.network and #sellers > 0 then
    local f, left = { sellers = sellers, masks = {}, sums = {} }, {}
    sum_positions(b, f, s, sku)
    for i = 2, #sums, 2 do left[sums[i]] = sums[i + 1] end
    for mask, units in pairs(f.sums) do left[mask] = (left[mask] or 0) - units end
    for _, units in pairs(left) do
      if units ~= 0 and not f.dated then return true end
    end
  end
  local order = ranked(b, sku, '', '')
  for i = 1, empty_places(b, sku) do
    if order[i] and free_at(b, sku, order[i], position_key(sku, order[i])) > 0 then return true end
  end
  return false
end

-- Those of the skus whose sums differ.
function looks.wrong_sums(b, skus)
  local found = {}
  fetch(b.prefix .. 'sku', skus, b.skus, unpack_one)
  for _, sku in ipairs(skus) do
    local s = b.skus[sku]
    if s and (s[S.SUMS][1] or s[S.EMPTY][1]) and sums_differ(b, s, sku) then found[#found + 1] = sku end
  end
  return found
end
