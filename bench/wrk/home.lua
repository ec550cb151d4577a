-- The home page: wrk -t1 -c64 -d10s --latency -s bench/wrk/home.lua URL

local home

function init()
   home = wrk.format("GET", "/home")
end

function request()
   return home
end
