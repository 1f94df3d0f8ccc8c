-- dup_and_replay.lua: sends a copy of every request to another path.
--
-- Try it:
--   moontap -s examples/dup_and_replay.lua
--   curl -x http://127.0.0.1:8080 http://example.com/
-- and see a second flow, for /changed, in the list.

function request(ctx, flow)
  local copy = ctx.duplicate_flow(flow)
  copy.request.path = "/changed"
  -- This handler is not called for what it replays itself.
  ctx.replay_request(copy)
end
