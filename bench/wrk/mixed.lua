-- Visitors: of 100 requests 10 for the home page, 86 hovers and 4 clicks, on 5,000 titles by Zipf
-- (0.9), as bench/load/activity.py has them: wrk -t1 -c64 -d10s --latency -s bench/wrk/mixed.lua URL

local here = debug.getinfo(1, "S").source:match("^@(.*/)") or "./"
local uuids = dofile(here .. "uuids.lua")
local DRAWN = 20000
local requests = {}
local at = 0

local function zipf(count)
   local sums, sum = {}, 0
   for rank = 1, count do
      sum = sum + rank ^ -0.9
      sums[rank] = sum
   end
   return function()
      local wanted, low, high = math.random() * sum, 1, count
      while low < high do
         local middle = math.floor((low + high) / 2)
         if sums[middle] < wanted then low = middle + 1 else high = middle end
      end
      return low
   end
end

function init()
   math.randomseed(1)
   local ids = uuids()
   local rank = zipf(#ids)
   for number = 1, DRAWN do
      local chance = math.random()
      if chance < 0.10 then
         requests[number] = wrk.format("GET", "/home")
      else
         local priority = chance < 0.14 and "u=1" or "u=5"
         local path = "/content/" .. ids[rank()]
         requests[number] = wrk.format("GET", path, {["Priority"] = priority})
      end
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end
