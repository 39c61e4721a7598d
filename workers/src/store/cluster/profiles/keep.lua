-- Keeps ARGV[2i-1] for ARGV[2i] milliseconds in KEYS[i], unless what is there stands higher: by version,
-- and for one version by when it was read. Both are at the front of a value, of fixed width, so that
-- their order is that of the text. What is no such value, or no text at all, stands lowest.
local number = string.rep('[0-9a-f]', 16)
local front = '^' .. number .. ':' .. number .. ':$'
for i, key in ipairs(KEYS) do
  local new = ARGV[2 * i - 1]
  local old = redis.pcall('GETRANGE', key, 0, 33)
  local stands = type(old) == 'string' and string.find(old, front)
  if not stands or old <= string.sub(new, 1, 34) then
    redis.call('SET', key, new, 'PX', ARGV[2 * i])
  end
end
return #KEYS
