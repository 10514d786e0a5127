-- Makes all changes or none, then tells about them.
-- KEYS: the records. ARGV: the channel, then five per record (what it has to be: any, absent, this
-- or only; the text for the latter two; what it becomes: gone or this; the text; Unix time it
-- expires at, or 0), then the notices.
local count = #KEYS
local function part(i, n) return ARGV[1 + (i - 1) * 5 + n] end

for i = 1, count do
  local was, before = part(i, 1), redis.call('GET', KEYS[i])
  local fits = was == 'any'
    or (was == 'absent' and not before)
    or ((was == 'this' or was == 'only') and before == part(i, 2))
  local already = was ~= 'only' and ((part(i, 3) == 'gone' and not before)
    or (part(i, 3) == 'this' and before == part(i, 4)))
  if not fits and not already then return 0 end
end

for i = 1, count do
  if part(i, 3) == 'gone' then
    redis.call('DEL', KEYS[i])
  else
    local left = redis.call('PTTL', KEYS[i])
    redis.call('SET', KEYS[i], part(i, 4))
    if part(i, 5) ~= '0' then
      redis.call('EXPIREAT', KEYS[i], part(i, 5))
    elseif left > 0 then
      redis.call('PEXPIRE', KEYS[i], left)
    end
  end
end

for i = 2 + count * 5, #ARGV do redis.call('PUBLISH', ARGV[1], ARGV[i]) end
return 1
