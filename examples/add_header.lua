-- add_header.lua: adds a header to every response.
--
-- Try it:
--   moontap -s examples/add_header.lua
--   curl -i -x http://127.0.0.1:8080 http://example.com/

function response(context, flow)
  flow.response.headers["newheader"] = {"foo"}
end
