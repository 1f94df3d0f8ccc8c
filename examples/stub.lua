-- stub.lua: has a handler for each event of a plain exchange and logs which one
-- was called. A place to start from; `moontap doc` lists all events.
--
-- Try it:
--   moontap -s "examples/stub.lua one two"
--   curl -x http://127.0.0.1:8080 http://example.com/

function start(ctx, argv)
  ctx.log("start " .. argv[0] .. " with " .. #argv .. " arguments")
end

function clientconnect(ctx, conn)
  ctx.log("clientconnect " .. tostring(conn))
end

function request(ctx, flow)
  ctx.log("request " .. flow.request.method .. " " .. flow.request.url)
end

function response(ctx, flow)
  ctx.log("response " .. flow.response.code)
end

function error(ctx, flow)
  ctx.log("error " .. flow.error.msg)
end

function clientdisconnect(ctx, disc)
  ctx.log("clientdisconnect " .. tostring(disc.client_conn))
end

function done(ctx)
  ctx.log("done")
end
