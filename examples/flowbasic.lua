-- flowbasic.lua: counts the flows of each host and logs the result at the end.
--
-- Try it:
--   moontap dump -nr saved.flow -s examples/flowbasic.lua
-- or
--   moontap -s examples/flowbasic.lua
--   curl -x http://127.0.0.1:8080 http://example.com/

local count, hosts = {}, {}

function request(ctx, flow)
  local host = flow.request.pretty_host
  if not count[host] then
    count[host] = 0
    hosts[#hosts + 1] = host
  end
  count[host] = count[host] + 1
end

function done(ctx)
  table.sort(hosts, function(a, b) return count[a] > count[b] or count[a] == count[b] and a < b end)
  for _, host in ipairs(hosts) do
    ctx.log(count[host] .. " " .. host)
  end
end
