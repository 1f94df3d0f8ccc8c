-- tls_passthrough.lua: lets programs alone that do not trust the proxy: when the
-- TLS handshake with a client fails, the next connections to that server are
-- passed through without looking into them.
--
-- Try it:
--   moontap -s examples/tls_passthrough.lua
--   curl -x http://127.0.0.1:8080 https://example.com/   # fails, without -k
--   curl -x http://127.0.0.1:8080 https://example.com/   # works

local distrusted = {}

function tls_failed_client(ctx, data)
  if data.sni then
    ctx.log(data.sni .. " will be passed through: " .. data.error)
    distrusted[data.sni] = true
  end
end

function tls_clienthello(ctx, hello)
  hello.ignore_connection = distrusted[hello.sni or ""] or false
end
