-- Answers of the last minute or two that no record holds: domain/rules/remembering.py gives the reasons.

-- Two generations bound the memory of refusals; which are read is known from the batch's time alone.
local function rotate_refusals(b)
  local age = b.now - b.refused_since
  if age >= REFUSED_MS or b.refused_count >= REFUSED_MAX then
    b.refused_gen = b.refused_gen + (age < 2 * REFUSED_MS and 1 or 2)
    b.refused_since, b.refused_count = b.now, 0
  end
end

local function find_refusal(b, identity)
  local known = b.refused[identity]
  if known and known.gen >= b.refused_gen - 1 then return known.value end
end

local function remember_answer(b, name, value)
  b.refused[name] = { gen = b.refused_gen, value = value }
  b.new_refused[name] = { b.refused_gen, value }
  b.refused_count = b.refused_count + 1
end

local calls = {}

function calls.name(call) return string.format('call:%.0f', call) end

-- What the command of this random number did before, as a result, if it did anything; nil or 0 is no call.
function calls.answered(b, call)
  if (call or 0) == 0 then return end
  rotate_refusals(b)
  local done = find_refusal(b, calls.name(call))
  if done then return O.REPLAYED, done[1], nil, nil, done[4], true end
end

-- Remember what the command did, and answer so.
function calls.answer(b, call, seq, detail)
  if (call or 0) > 0 then remember_answer(b, calls.name(call), { seq, O.APPLIED, {}, detail or '' }) end
  return O.APPLIED, seq, nil, nil, detail
end
