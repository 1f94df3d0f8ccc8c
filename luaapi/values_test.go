package luaapi

import (
	"math"
	"testing"

	lua "github.com/yuin/gopher-lua"
)

func TestGoNumber(t *testing.T) {
	tests := []struct {
		have lua.LNumber
		want any
	}{
		{0, int64(0)},
		{3, int64(3)},
		{-7, int64(-7)},
		{2.5, 2.5},
		{1 << 53, float64(1 << 53)},
		{1e300, 1e300},
		{lua.LNumber(math.Inf(1)), math.Inf(1)},
	}
	for _, tt := range tests {
		if got := goNumber(tt.have); got != tt.want {
			t.Errorf("goNumber(%v) = %v (%T); want %v (%T)", tt.have, got, got, tt.want, tt.want)
		}
	}
	if got, ok := goNumber(lua.LNumber(math.NaN())).(float64); !ok || !math.IsNaN(got) {
		t.Errorf("goNumber(NaN) = %v", got)
	}
}
