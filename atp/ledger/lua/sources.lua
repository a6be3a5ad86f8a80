-- Sources, their silence and their new beginnings: domain/rules/sources.py gives the reasons.

local sources = {}

local function stale_after_ms(b, id)
  local policy = b.policies.sources[id]
  return policy and policy.stale_after_ms or 900000
end

-- From now on its silence is waited for.
local function now_beats(b, id, cause)
  local deadline = b.now + stale_after_ms(b, id)
  if b.next_silence == 0 or deadline < b.next_silence then b.next_silence = deadline end
  log(b, pack({ E.HEARD, next_seq(b), b.now, '', cause, id }))
end

-- Records of older releases are shorter.
local function whole(source)
  if not source[U.RESTART] then
    source[U.HEARD], source[U.BEATS], source[U.SILENT], source[U.OLDER], source[U.RESTART] = 0, false, false, 0, 0
  end
  return source
end

-- What is known of a source, which is heard of by this; its first word creates it.
local function source_record(b, id, kind, cause)
  local source = lookup(b, b.sources, 'source', id)
  if not source then
    source = { FORMAT, kind, 1, 0, 0, false, false, 0, 0 }
    b.sources[id] = source
    log(b, pack({ E.SOURCE, next_seq(b), b.now, '', cause, id, kind, 1 }))
    if not b.policies.sources[id] then exceptions.raise(b, 'source-unknown', cause, '', '', id, '', '') end
  elseif kind ~= '' and source[U.KIND] == '' then
    source[U.KIND] = kind
    log(b, pack({ E.SOURCE, next_seq(b), b.now, '', cause, id, kind, source[U.GENERATION] }))
  end
  whole(source)[U.HEARD] = b.now
  b.dirty_sources[id] = source
  if source[U.SILENT] then
    source[U.SILENT] = false
    now_beats(b, id, cause)
    exceptions.over(b, 'source-silent', cause, '', '', id, '', 'over', '', '')
  end
  return source
end

local function heartbeat(b, c)
  if c[4] > 0 and c[4] <= (b.cursors[c[3]] or 0) then return O.SETTLED, b.seq end
  local source = source_record(b, c[2], '', c[5])
  if c[6] and not source[U.BEATS] then
    source[U.BEATS] = true
    now_beats(b, c[2], c[5])
  end
  return O.APPLIED, b.seq
end

-- What a location has beside its policy.
function sources.location_record(b, location)
  local record = b.policies.records[location] or { FORMAT, '', 0, 0, {}, '' }
  b.policies.records[location], b.dirty_locations[location] = record, record
  b.policies.version = nil
  return record
end

-- At the silent authority's locations the fallback sells beside it; positions that had returned go again.
local function take_fallbacks(b, silent, anew)
  local ids = {}
  for id, policy in pairs(b.policies.locations) do
    local record = b.policies.records[id]
    if policy.fallback and policy.authority == silent and (anew or not record or record[Y.SINCE] == 0) then
      ids[#ids + 1] = id
    end
  end
  table.sort(ids, bytes_less)
  for _, id in ipairs(ids) do
    local record, seq, fallback = sources.location_record(b, id), next_seq(b), b.policies.locations[id].fallback
    record[Y.FALLBACK], record[Y.SINCE], record[Y.RECHECK], record[Y.BEFORE] = fallback, seq, seq, silent
    log(b, pack({ E.FALLBACK, seq, b.now, '', '', id, silent, fallback }))
    network_changed(b, seq)
  end
end

-- When a source that sends heartbeats is silent, by what is known now.
function sources.deadline(b, id, source)
  return math.max(source[U.HEARD], b.silence_from) + stale_after_ms(b, id)
end

-- Whether the source said long ago that this number is another one (R39).
function sources.is_old(b, id, n)
  local touched = n and n[N_TOUCHED]
  return touched and touched[1] + stale_after_ms(b, id) <= b.now or false
end

-- Find the sources that fell silent by now.
function sources.listen(b)
  if b.next_silence == 0 or b.now < b.next_silence or b.apart then return end
  if b.now - b.next_silence > CLOCK.OUTAGE_MS then b.silence_from = b.now end
  local ids, nearest, stored = {}, 0, call('HGETALL', b.prefix .. 'source')
  for i = 1, #stored, 2 do
    ids[#ids + 1] = stored[i]
    b.sources[stored[i]] = b.sources[stored[i]] or unpack_one(stored[i + 1])
  end
  table.sort(ids, bytes_less)
  for _, id in ipairs(ids) do
    local source = b.sources[id]
    local anew = source[U.BEATS] and not source[U.SILENT]
    local deadline = anew and sources.deadline(b, id, source)
    if anew and deadline > b.now then
      if nearest == 0 or deadline < nearest then nearest = deadline end
    elseif source[U.BEATS] then
      if anew then
        source[U.SILENT], b.dirty_sources[id] = true, source
        log(b, pack({ E.SILENT, next_seq(b), b.now, '', '', id, source[U.HEARD] }))
        exceptions.raise(b, 'source-silent', '', '', '', id, '', '')
      end
      take_fallbacks(b, id, anew)
    end
  end
  b.next_silence = nearest
end

-- A level was older than what is known; many in a row are no late ones.
function sources.note_older(b, id, source, cause)
  source[U.OLDER] = source[U.OLDER] + 1
  if source[U.OLDER] % REWOUND_AFTER == 0 then exceptions.raise(b, 'source-rewound', cause, '', '', id, '', '') end
end

local function restart(b, c)
  local id, key, generation = c[2], c[3][1], c[4]
  local source = lookup(b, b.sources, 'source', id)
  if source and whole(source)[U.RESTART] == key then
    return O.REPLAYED, b.seq, nil, nil, tostring(source[U.GENERATION]), true
  end
  if not source and generation == 0 and not b.policies.sources[id] then return O.NOT_FOUND, b.seq, nil, nil, id end
  if generation == 0 then generation = (source and source[U.GENERATION] or 1) + 1 end
  if generation > GENERATION_MAX then return O.LIMIT_EXCEEDED, b.seq, nil, nil, 'generations' end
  if source and generation <= source[U.GENERATION] then
    return O.REPLAYED, b.seq, nil, nil, tostring(source[U.GENERATION]), true
  end
  source = source or { FORMAT, '', 0, 0, 0, false, false, 0, 0 }
  source[U.GENERATION], source[U.RESTART], source[U.OLDER] = generation, key, 0
  b.sources[id], b.dirty_sources[id] = source, source
  local seq = next_seq(b)
  log(b, pack({ E.RESTARTED, seq, b.now, c[5], c[6], id, generation, key }))
  exceptions.over(b, 'source-rewound', c[6], '', '', id, '', 'restarted', '', c[5])
  return O.APPLIED, seq, nil, nil, tostring(generation)
end

function sources.write(b, meta)
  if b.next_silence ~= tonumber(meta.next_silence or 0) or b.silence_from ~= tonumber(meta.silence_from or 0) then
    call('HSET', b.prefix .. 'meta', 'next_silence', b.next_silence, 'silence_from', b.silence_from)
  end
end

handlers[C.HEARTBEAT], handlers[C.RESTART] = heartbeat, restart
