-- modify_form.lua: adds a field to every URL-encoded form.
--
-- Try it:
--   moontap -s examples/modify_form.lua
--   curl -x http://127.0.0.1:8080 -d a=b http://httpbin.org/post

local M = { filter = '~tq "application/x-www-form-urlencoded"' }

function M.request(ctx, flow)
  flow.request.form["mitmproxy"] = "rocks"
end

return M
