-- Prints cases for TestReference with the results of the Lua that runs it:
--   lua5.1 testdata/generate.lua > testdata/reference.txt
-- A line has tab-separated fields: function, arguments, "=", results. Bytes other
-- than printable ASCII, and "\", are written as \xHH.

local seed = 42
local function random(n) -- 1..n
  seed = (seed * 16807) % 2147483647
  return seed % n + 1
end

local function quote(v)
  if type(v) == "number" then return "n" .. v end
  if v == nil then return "nil" end
  return "s" .. v:gsub("[^%w%p ]", function(c) return ("\\x%02x"):format(c:byte()) end):gsub("\\([^x])", "\\x5c%1"):gsub("\\$", "\\x5c")
end

local function emit(name, f, ...)
  local fields = { name }
  for i = 1, select("#", ...) do fields[#fields + 1] = quote((select(i, ...))) end
  fields[#fields + 1] = "="
  local function add(ok, ...)
    if not ok then
      fields[#fields + 1] = "e" .. (...):gsub("^%S+:%d+: ", "")
      return
    end
    for i = 1, select("#", ...) do fields[#fields + 1] = quote((select(i, ...))) end
  end
  add(pcall(f, ...))
  print(table.concat(fields, "\t"))
end

local function gmatch(s, p)
  local out, n = {}, 0
  for a, b in s:gmatch(p) do
    out[#out + 1], out[#out + 2] = a, b == nil and "-" or b
  end
  return unpack(out)
end

local items = {
  "a", "b", "c", "x", ".", "%a", "%d", "%s", "%w", "%W", "%p", "%u", "%l", "%x", "%c", "%D",
  "[abc]", "[^a]", "[a-c]", "[%w_]", "[]]", "[^]]", "[a-]", "[%a-z]", "[^%s]", "%.", "%%", "%z",
  "\228", "[\200-\255]", "1", " ",
}
local suffixes = { "", "", "", "*", "+", "-", "?" }
local extras = { "%b()", "%bxx", "%f[%w]", "%f[^%w]", "%1", "%2", "$", "^", "()", ")", "(", "%b", "%f", "[", "%", "[a", "-", "]" }

local function pattern()
  local p = random(8) == 1 and "^" or ""
  local open = 0
  for _ = 1, random(5) do
    if open < 3 and random(6) == 1 then p = p .. "("; open = open + 1 end
    if random(14) == 1 then
      p = p .. extras[random(#extras)]
    else
      p = p .. items[random(#items)] .. suffixes[random(#suffixes)]
    end
    if open > 0 and random(3) == 1 then p = p .. ")"; open = open - 1 end
  end
  if random(10) > 1 then p = p .. (")"):rep(open) end
  if random(10) == 1 then p = p .. "$" end
  return p
end

local letters = { "a", "a", "b", "c", "x", "1", "2", " ", "(", ")", "A", "_", ".", "%", "]", "\n", "\228", "\0" }
local function subject()
  local s = ""
  for _ = 1, random(12) - 1 do s = s .. letters[random(#letters)] end
  return s
end

local replacements = { "", "x", "[%0]", "%1", "<%1%2>", "%%", "%a", "%9" }

for _ = 1, 1400 do
  local p = pattern()
  emit("find", string.find, subject(), p)
  emit("find", string.find, subject(), p, random(16) - 8)
  emit("match", string.match, subject(), p)
  emit("gmatch", gmatch, subject(), p)
  emit("gsub", string.gsub, subject(), p, replacements[random(#replacements)])
  if random(4) == 1 then emit("gsub", string.gsub, subject(), p, "%0%0", random(4) - 1) end
end
