-- websocket.lua: logs the messages of WebSockets, greets each client, and keeps
-- back what has a word in it.
--
-- Try it:
--   moontap -s "examples/websocket.lua secret"
--   and open a page that uses WebSockets through the proxy

local word

function start(ctx, argv)
  word = argv[1]
end

function websocket_start(ctx, flow)
  flow:inject(true, "moontap is listening")
end

function websocket_message(ctx, flow, message)
  local arrow = message.from_client and " >> " or " << "
  ctx.log(flow.request.pretty_host .. arrow .. (message.text or message.size .. " bytes"))
  if word and message.content:find(word, 1, true) then
    message:drop()
  end
end

function websocket_end(ctx, flow)
  ctx.log(flow.request.pretty_host .. " closed after " .. #flow.messages .. " messages")
end
