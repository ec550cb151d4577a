-- Asks for what a file says, in turn: wrk -s bench/wrk/replay.lua URL -- FILE
-- A line of FILE is a path and the value of Priority, with a blank between. bench.ladder writes it.

local requests = {}
local at = 0

function init(args)
   for line in io.lines(args[1]) do
      local path, priority = line:match("^(%S+) (%S+)$")
      requests[#requests + 1] = wrk.format("GET", path, {["Priority"] = priority})
   end
end

function request()
   at = at % #requests + 1
   return requests[at]
end
