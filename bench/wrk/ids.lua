-- Asks for rows in turn: wrk -s bench/wrk/ids.lua URL -- FILE [COUNT]
-- FILE has one id a line (curl -s URL/uuids?limit=1000 | jq -r '.data[]'); COUNT takes the first.

local requests = {}
local at = 0

function init(args)
   local limit = tonumber(args[2]) or math.huge
   for id in io.lines(args[1]) do
      if #requests >= limit then break end
      requests[#requests + 1] = wrk.format("GET", "/content/" .. id)
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end
