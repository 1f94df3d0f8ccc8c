-- sticky_cookies.lua: remembers the cookies that servers set and sends them
-- with later requests to the same host and port that have none of their own.
--
-- Try it:
--   moontap -s examples/sticky_cookies.lua
--   curl -L -x http://127.0.0.1:8080 http://httpbin.org/cookies/set/a/b
--   curl -x http://127.0.0.1:8080 http://httpbin.org/cookies

local jar = {} -- by "host:port": name -> value

local function key(request)
  return request.host .. ":" .. request.port
end

function response(ctx, flow)
  for name, cookie in pairs(flow.response.cookies) do
    local k = key(flow.request)
    jar[k] = jar[k] or {}
    jar[k][name] = cookie.value
  end
end

function request(ctx, flow)
  local known = jar[key(flow.request)]
  if not known then
    return
  end
  local cookies = flow.request.cookies
  for name, value in pairs(known) do
    if not cookies:has(name) then
      cookies:add(name, value)
    end
  end
end
