-- Rows in turn, 5,000 of them: wrk -t1 -c64 -d10s --latency -s bench/wrk/content.lua URL

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local uuids = dofile(here .. "uuids.lua")
local requests = {}
local at = 0

function init()
   for _, id in ipairs(uuids()) do
      requests[#requests + 1] = wrk.format("GET", "/content/" .. id)
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end
