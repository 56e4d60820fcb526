-- Asks the gateway about a request, with HAProxy's own HTTP client (HAProxy 2.6 or later with Lua).
--
--   http-request lua.access-gateway http://127.0.0.1:8000/auth/AUD_TAG_OF_THE_APPLICATION
--
-- sets txn.access.status to the gateway's status (200 allows, 0 is no answer) and, for 200, txn.access.user, .email,
-- .kind, .subject and .expires. It decides nothing: haproxy.cfg denies whatever is not 200, also when this fails.

-- All that the decision needs; every line of them, so that the gateway sees a second one.
local asked = {"cf-access-jwt-assertion", "cookie"}
local told = {"user", "email", "kind", "subject", "expires"}

core.register_action("access-gateway", {"http-req"}, function(txn, url)
  txn:set_var("txn.access.status", 0)
  local sent, headers = txn.http:req_get_headers(), {}
  for _, name in ipairs(asked) do
    local lines = sent[name]
    if lines then
      headers[name] = {}
      for i = 0, #lines do
        table.insert(headers[name], lines[i])
      end
    end
  end

  local answer = core.httpclient():get{url = url, headers = headers, timeout = 1000}
  if not answer or not answer.status then
    return
  end
  if answer.status == 200 then
    for _, name in ipairs(told) do
      local lines = answer.headers["x-auth-" .. name]
      -- The gateway sends all five, always. Who does not is not the gateway.
      if not lines then
        return
      end
      txn:set_var("txn.access." .. name, lines[0])
    end
  end
  txn:set_var("txn.access.status", answer.status)
end, 1)
