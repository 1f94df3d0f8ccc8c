-- modify_querystring.lua: adds a parameter to every URL that has some.
--
-- Try it:
--   moontap -s examples/modify_querystring.lua
--   curl -x http://127.0.0.1:8080 "http://httpbin.org/get?a=b"

function request(ctx, flow)
  local query = flow.request.query
  if #query > 0 then
    query["mitmproxy"] = "rocks"
  end
end
