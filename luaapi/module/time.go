package module

import (
	"encoding/binary"
	"errors"
	"math"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/itchyny/timefmt-go"
	lua "github.com/yuin/gopher-lua"
)

func timeModule() Module {
	return Module{
		Name: "time",
		Doc:  "Times, as seconds since 1970 in UTC with fractions. A zone is \"UTC\", \"Local\" or a name like \"Europe/Paris\".",
		Funcs: []Func{
			{"now", "() -> number", "Returns the time.", `time.now() > 1.7e9 --> true`, func(L *lua.LState, _ *host) int {
				return push(L, seconds(time.Now()))
			}},
			{"iso8601", "([time]) -> string", "Writes a time, by default now, as RFC 3339 has it, with milliseconds unless it is a whole second.", `time.iso8601(1136214245.5) --> "2006-01-02T15:04:05.500Z"`, func(L *lua.LState, _ *host) int {
				t := argTime(L, 1)
				if t.Nanosecond() == 0 {
					return pushText(L, t.Format("2006-01-02T15:04:05Z07:00"))
				}
				return pushText(L, t.Format("2006-01-02T15:04:05.000Z07:00"))
			}},
			{"rfc1123", "([time]) -> string", "Writes a time, by default now, as HTTP headers have it.", `time.rfc1123(784111777) --> "Sun, 06 Nov 1994 08:49:37 GMT"`, func(L *lua.LState, _ *host) int {
				return pushText(L, argTime(L, 1).Format(http.TimeFormat))
			}},
			{"parse", "(text, [format]) -> number?, error?", "Reads a time in the form of ISO 8601, HTTP headers, cookies, e-mails or certificates, or as seconds; with a format, as strptime does. Without a zone it is in UTC.", `time.parse("Sunday, 06-Nov-94 08:49:37 GMT") --> 784111777`, timeParse},
			{"format", "(time or nil, format, [zone]) -> string?, error?", "Writes a time, nil being now, as strftime does: %Y-%m-%d %H:%M:%S.", `time.format(0, "%d %b %Y", "UTC") --> "01 Jan 1970"`, timeFormat},
		},
	}
}

func seconds(t time.Time) lua.LNumber {
	return lua.LNumber(float64(t.Unix()) + float64(t.Nanosecond())/1e9)
}

// argTime is a time in UTC; missing it is now. It is rounded to microseconds:
// there is no more in a number.
func argTime(L *lua.LState, i int) time.Time {
	const latest = 253402300799 // the end of the year 9999
	if L.Get(i) == lua.LNil {
		return time.Now().UTC()
	}
	f := float64(L.CheckNumber(i))
	if !(math.Abs(f) <= latest) {
		L.ArgError(i, "the time is out of range")
	}
	whole, fraction := math.Modf(f)
	return time.Unix(int64(whole), int64(fraction*1e9)).Round(time.Microsecond).UTC()
}

// layouts are the forms that parse knows.
var layouts = []string{
	time.RFC3339Nano, time.RFC1123, time.RFC1123Z, time.RFC850, time.ANSIC, time.UnixDate, time.RubyDate,
	"2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05.999999999 -0700", "2006-01-02T15:04:05.999999999-0700", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", "2006-01-02 15:04", "2006-01-02",
	"20060102T150405Z07:00", "20060102150405Z07:00", "Mon, 02-Jan-2006 15:04:05 MST", "Mon, 2 Jan 2006 15:04:05 MST",
	"Mon, 2 Jan 2006 15:04:05 -0700", "2 Jan 2006 15:04:05 -0700", "02/Jan/2006:15:04:05 -0700", "Jan 2 15:04:05 2006 MST",
}

func timeParse(L *lua.LState, _ *host) int {
	s := strings.TrimSpace(L.CheckString(1))
	if format := L.OptString(2, ""); format != "" {
		t, err := timefmt.Parse(s, format)
		if err != nil {
			return fail(L, err)
		}
		return push(L, seconds(t))
	}
	for _, layout := range layouts {
		if t, err := time.Parse(layout, s); err == nil {
			return push(L, seconds(t))
		}
	}
	if f, err := strconv.ParseFloat(s, 64); err == nil && !math.IsNaN(f) && !math.IsInf(f, 0) {
		return push(L, lua.LNumber(f))
	}
	return fail(L, errors.New("no time: "+strconv.Quote(s[:min(len(s), 64)])))
}

func timeFormat(L *lua.LState, _ *host) int {
	t, format := argTime(L, 1), L.CheckString(2)
	loc, err := time.LoadLocation(L.OptString(3, "UTC"))
	if err != nil {
		return fail(L, err)
	}
	return pushText(L, timefmt.Format(t.In(loc), format))
}

// putMillis writes the time in milliseconds into the first six bytes of b.
func putMillis(b []byte) {
	var x [8]byte
	binary.BigEndian.PutUint64(x[:], uint64(time.Now().UnixMilli()))
	copy(b, x[2:])
}
