-- For wrk: asks /invocations with the lines of a file in turn, and prints what came of it as a line of JSON.
-- Usage: wrk ... --script wrk.lua ADDRESS -- FILE CONTENT-TYPE

local requests, at = {}, 0

function init(arguments)
    local headers = { ["Content-Type"] = arguments[2], ["Accept"] = "application/json" }
    for line in io.lines(arguments[1]) do
        requests[#requests + 1] = wrk.format("POST", "/invocations", headers, line)
    end
end

function request()
    at = at % #requests + 1
    return requests[at]
end

function done(summary, latency, _)
    local errors = summary.errors
    -- wrk counts microseconds.
    io.write(string.format(
        '{"requests": %d, "seconds": %.6f, "p50_ms": %.3f, "p99_ms": %.3f, "refused": %d, "broken": %d}\n',
        summary.requests, summary.duration / 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3,
        errors.status, errors.connect + errors.read + errors.write + errors.timeout
    ))
end
