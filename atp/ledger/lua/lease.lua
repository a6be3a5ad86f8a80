-- Leases: who runs a loop that one process at a time should run. They save work and protect no state.

-- KEYS {ns:p}:meta  ARGV name, owner, ms -> 1 while the owner holds it, 0 while another does. Works when memory is full:
-- what empties the outbox must not need any.
local function lease(keys, args)
  bind()
  local key = string.sub(keys[1], 1, -5) .. 'lease:' .. args[1]
  local holder = call('GET', key)
  if holder and holder ~= args[2] then return 0 end
  call('SET', key, args[2], 'PX', args[3])
  return 1
end

redis.register_function({ function_name = '@LIBRARY@_lease', callback = lease, flags = { 'allow-oom' } })
