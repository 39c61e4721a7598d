-- Removes each KEYS[i] that is still ARGV[i].
for i, key in ipairs(KEYS) do
  if redis.pcall('GET', key) == ARGV[i] then
    redis.call('UNLINK', key)
  end
end
return #KEYS
