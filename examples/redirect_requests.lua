-- redirect_requests.lua: answers requests for example.com itself, without
-- asking the server, and sends those for example.org to another host.
--
-- Try it:
--   moontap -s examples/redirect_requests.lua
--   curl -x http://127.0.0.1:8080 http://example.com/
--   curl -x http://127.0.0.1:8080 http://example.org/

function request(ctx, flow)
  local r = flow.request
  if r.host:match("example%.com$") then
    flow.response = Response{
      status = 200,
      headers = { ["Content-Type"] = "text/html" },
      body = "helloworld",
    }
  elseif r.host:match("example%.org$") then
    r.host = "mitmproxy.org" -- changes the Host header too
  end
end
