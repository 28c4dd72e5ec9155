-- Asks the questions of a folder in turn and looks at every answer: is it one of those expected, to the last byte?
local folder = os.getenv("QUESTIONS")

local function read(name)
   local file = io.open(folder .. "/" .. name, "rb")
   if not file then return nil end
   local text = file:read("*a")
   file:close()
   return text
end

local requests, expected, turn = {}, {}, 0
wrong, refused, answered = 0, 0, 0

function init(arguments)
   local kind = read("content-type")
   local binary = read("header-length")
   local i = 0
   while true do
      local body = read("question" .. i)
      if not body then break end
      local headers = { ["Content-Type"] = kind }
      if binary then headers["Inference-Header-Content-Length"] = binary end
      requests[#requests + 1] = wrk.format("POST", read("path"), headers, body)
      expected[read("answer" .. i)] = true
      i = i + 1
   end
end

function request()
   turn = turn % #requests + 1
   return requests[turn]
end

function response(status, headers, body)
   answered = answered + 1
   if status ~= 200 then
      refused = refused + 1
   elseif not expected[body] then
      wrong = wrong + 1
   end
end

local thread
function setup(one) thread = one end

function done(summary, latency, requests)
   local errors = summary.errors
   print(string.format(
      'RESULT {"requests":%d,"seconds":%.4f,"p50_us":%d,"p99_us":%d,"broken":%d,"answered":%d,"refused":%d,"wrong":%d}',
      summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
      errors.connect + errors.read + errors.write + errors.timeout, thread:get("answered"), thread:get("refused"), thread:get("wrong")))
end
