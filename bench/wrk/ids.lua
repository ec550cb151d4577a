-- Asks for rows in turn: wrk -s bench/wrk/ids.lua URL -- FILE [COUNT [random]]
-- FILE has one id a line (curl -s URL/uuids?limit=1000 | jq -r '.data[]'); COUNT takes the first.

local requests = {}
local at = 0
local random = false

function init(args)
   local limit = tonumber(args[2]) or math.huge
   random = args[3] == "random"
   for id in io.lines(args[1]) do
      if #requests >= limit then break end
      requests[#requests + 1] = wrk.format("GET", "/content/" .. id)
   end
end

function request()
   at = random and math.random(#requests) or at % #requests + 1
   return requests[at]
end
