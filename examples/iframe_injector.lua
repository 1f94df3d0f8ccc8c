-- iframe_injector.lua: puts an iframe at the top of every HTML page.
-- The argument is the URL that it shows.
--
-- Try it:
--   moontap -s "examples/iframe_injector.lua http://example.org/"
--   curl -x http://127.0.0.1:8080 http://example.com/

local url

function start(ctx, argv)
  url = argv[1] or "http://example.org/"
end

function request(ctx, flow)
  -- Not needed, content is decoded anyway, but servers then send plain text.
  flow.request:anticomp()
end

function response(ctx, flow)
  local r = flow.response
  local kind = r.content_type
  if not (r.content and kind and kind:find("html", 1, true)) or flow.request.url == url then
    return
  end
  local frame = '<iframe src="' .. url .. '" width="0" height="0"></iframe>'
  local page, n = r.content:gsub("(<[bB][oO][dD][yY][^>]*>)", function(tag) return tag .. frame end, 1)
  if n > 0 then
    r.content = page
    ctx.log("iframe put into " .. flow.request.url)
  end
end
