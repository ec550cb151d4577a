-- Ids of the running service, from its /uuids by curl; for the scripts beside this one.

local function uuids()
   local url = string.format("%s://%s:%s/uuids?limit=%d", wrk.scheme, wrk.host, wrk.port or 80, 5000)
   local pipe = assert(io.popen("curl -sf '" .. url .. "'"))
   local ids = {}
   for id in pipe:read("*a"):gmatch('"(%x+%-%x+%-%x+%-%x+%-%x+)"') do ids[#ids + 1] = id end
   pipe:close()
   assert(#ids > 0, url .. " has no ids, or curl is not installed")
   return ids
end

return uuids
