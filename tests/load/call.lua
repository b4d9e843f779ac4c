-- A wrk script: makes the call that the environment describes, counts the answers by what they are, and keeps the runs that they name.

local threads = {}

function setup(thread)
  table.insert(threads, thread)
  thread:set("thread_number", #threads)
end

function init()
  wrk.method = "POST"
  wrk.body = os.getenv("LOAD_BODY")
  for name, value in os.getenv("LOAD_HEADERS"):gmatch("([^:\n]+): ([^\n]+)") do
    wrk.headers[name] = value
  end
  number = 0
  phase = os.getenv("LOAD_PHASE")
  good, refused, without_wait, failed, first = 0, 0, 0, 0, ""
  runs = assert(io.open(os.getenv("LOAD_RUNS") .. "/" .. thread_number, "w"))
end

-- No two calls are equal: the second of two equal ones might be answered by the run of the first, and each is looked for by its number.
function request()
  number = number + 1
  local unique = string.format("%s%d%09d", phase, thread_number, number)
  return wrk.format(nil, nil, nil, (wrk.body:gsub("NUMBER", unique)))
end

local function is_good(status, body)
  return status == 200 and not body:find('"isError":true', 1, true) and not body:find('"error":{', 1, true)
end

-- Over MCP a refusal is a result like every other, and says in its body when to come again.
local function is_refused_tool(status, body)
  return status == 200 and body:find('"code":"overloaded"', 1, true)
end

function response(status, headers, body)
  if is_good(status, body) then
    good = good + 1
    local run = body:match("run_[0-9a-z]+")
    if run then
      runs:write(run, "\n")
    end
  elseif is_refused_tool(status, body) then
    refused = refused + 1
    if not body:find("retry_after_ms", 1, true) then
      without_wait = without_wait + 1
    end
  elseif status == 429 or status == 503 then
    refused = refused + 1
    if not (headers["retry-after"] or headers["Retry-After"]) then
      without_wait = without_wait + 1
    end
  else
    failed = failed + 1
    if first == "" then
      first = status .. " " .. body:sub(1, 600)
    end
  end
end

local function quoted(text)
  return '"' .. text:gsub('[%c"\\]', function(c) return string.format("\\u%04x", c:byte()) end) .. '"'
end

function done(summary, latency, _)
  local sum = { good = 0, refused = 0, without_wait = 0, failed = 0 }
  local first_failure = ""
  for _, thread in ipairs(threads) do
    for name in pairs(sum) do
      sum[name] = sum[name] + thread:get(name)
    end
    if first_failure == "" then
      first_failure = thread:get("first")
    end
  end
  local errors = summary.errors
  io.write(string.format(
    '\n{"seconds":%.3f,"good":%d,"refused":%d,"without_wait":%d,"failed":%d,"first_failure":%s,'
      .. '"connect":%d,"read":%d,"write":%d,"timeout":%d,"p50_us":%.0f,"p99_us":%.0f,"max_us":%.0f}\n',
    summary.duration / 1e6, sum.good, sum.refused, sum.without_wait, sum.failed, quoted(first_failure),
    errors.connect, errors.read, errors.write, errors.timeout,
    latency:percentile(50), latency:percentile(99), latency.max))
end
