-- One unit or more of a sku for one reservation, or −1. Keys: free units, the reservation. Arguments: quantity, expiry.
local left = tonumber(redis.call('GET', KEYS[1]) or '0') - tonumber(ARGV[1])
if left < 0 then return -1 end
redis.call('SET', KEYS[1], left)
redis.call('HSET', KEYS[2], 'quantity', ARGV[1], 'expires_at', ARGV[2])
return left
