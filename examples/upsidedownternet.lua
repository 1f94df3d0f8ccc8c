-- upsidedownternet.lua: turns all images upside down.
--
-- Try it:
--   moontap -s examples/upsidedownternet.lua
--   curl -x http://127.0.0.1:8080 -o pig.png http://httpbin.org/image/png

local M = { filters = { response = '~ts "image/(png|jpeg|gif)"' } }

function M.response(ctx, flow)
  local r = flow.response
  if not r.content then
    return -- the image streams through and is not here
  end
  local turned, why = image.rotate(r.content, 180)
  if turned then
    r.content = turned
  else
    ctx.log.warn("%s: %s", flow.request.url, why)
  end
end

return M
