package widget_test

import (
	"slices"
	"strconv"
	"testing"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/widget"
)

// words are rows without an identity.
type words []string

func (r words) Len() int { return len(r) }

func (r words) Draw(s tcell.Screen, x, y, w, row int, selected bool) {
	mark := " "
	if selected {
		mark = ">"
	}
	widget.Draw(s, x, y, w, mark+r[row], tcell.StyleDefault, widget.Left)
}

// people are rows that are known by their name.
type people struct{ words }

func (r *people) Key(row int) any { return r.words[row] }

func (r *people) Index(key any) int { return slices.Index(r.words, key.(string)) }

// numbers returns rows of the numbers below n.
func numbers(n int) (r words) {
	for i := range n {
		r = append(r, strconv.Itoa(i))
	}
	return r
}

func TestListMoves(t *testing.T) {
	l := widget.NewList(numbers(9))
	d := drive(t, l, 4, 3)
	var told []int
	l.OnSelect = func(row int) { told = append(told, row) }
	steps := []struct {
		do   func()
		want string
	}{
		{func() {}, ">0\n 1\n 2"},
		{func() { l.Move(1) }, " 0\n>1\n 2"},
		{func() { l.Move(2) }, " 1\n 2\n>3"},
		{func() { l.Page(1) }, " 4\n 5\n>6"},
		{func() { l.Page(1) }, " 6\n 7\n>8"},
		{func() { l.Page(-1) }, " 3\n 4\n>5"},
		{l.Home, ">0\n 1\n 2"},
		{func() { l.Move(-1) }, ">0\n 1\n 2"},
		{l.End, " 6\n 7\n>8"},
		{func() { l.Move(1) }, " 6\n 7\n>8"},
		{func() { l.Scroll(-1) }, " 5\n 6\n>7"},
		{func() { l.Scroll(-99) }, " 0\n 1\n>2"},
		{func() { l.Scroll(1) }, " 1\n>2\n 3"},
		{func() { l.Select(99) }, " 6\n 7\n>8"},
	}
	for i, step := range steps {
		step.do()
		d.Draw()
		t.Run(strconv.Itoa(i), func(t *testing.T) { expect(t, d, step.want) })
	}
	if want := []int{1, 3, 6, 8, 5, 0, 0, 8, 8, 7, 2, 8}; !slices.Equal(told, want) {
		t.Errorf("told %v, want %v", told, want)
	}
	if first, n := l.Visible(); first != 6 || n != 3 {
		t.Errorf("visible %d, %d", first, n)
	}
}

// The selected row, and its place on the screen, survive what happens to the
// others.
func TestListFollowsIdentity(t *testing.T) {
	rows := &people{words{"a", "b", "c", "d", "e", "f", "g"}}
	l := widget.NewList(rows)
	d := drive(t, l, 3, 3)
	l.Select(4)
	l.Scroll(1)
	l.OnSelect = func(int) { t.Error("the user did nothing") }
	steps := []struct {
		rows words
		want string
	}{
		{words{"a", "b", "c", "d", "e", "f", "g"}, " d\n>e\n f"},
		{words{"x", "y", "a", "b", "c", "d", "e", "f", "g"}, " d\n>e\n f"},
		{words{"g", "f", "e", "d", "c", "b", "a"}, " f\n>e\n d"},
		{words{"e", "d"}, ">e\n d"},
		{words{"a", "e", "d"}, " a\n>e\n d"},
		{words{"a", "d"}, " a\n>d"},
		{words{"a", "c", "d"}, " a\n c\n>d"},
		{words{"a"}, ">a"},
		{nil, ""},
		{words{"k", "m"}, ">k\n m"},
		{words{"b", "k"}, " b\n>k"},
	}
	for i, step := range steps {
		rows.words = step.rows
		d.Draw()
		t.Run(strconv.Itoa(i), func(t *testing.T) { expect(t, d, step.want) })
	}
	rows.words = nil
	if got := l.Selected(); got != -1 {
		t.Errorf("row %d of none is selected", got)
	}
}

func TestListMouse(t *testing.T) {
	l := widget.NewList(numbers(20))
	d := drive(t, l, 4, 5)
	var opened []int
	l.OnOpen = func(row int) { opened = append(opened, row) }
	d.Click(1, 3, 1)
	if l.Selected() != 3 || !l.HasFocus() {
		t.Errorf("row %d is selected after a click on 3, focus %t", l.Selected(), l.HasFocus())
	}
	d.Wheel(1, 1, 2)
	expect(t, d, ">6\n 7\n 8\n 9\n 10")
	d.Click(1, 1, 2)
	if !slices.Equal(opened, []int{7}) {
		t.Errorf("opened %v", opened)
	}
	d.Wheel(1, 1, -9)
	expect(t, d, " 0\n 1\n 2\n 3\n>4")
}

// windowed rows record what they were asked for.
type windowed struct {
	words
	first, n int
}

func (r *windowed) Window(first, n int) { r.first, r.n = first, n }

func TestListWindow(t *testing.T) {
	rows := &windowed{words: numbers(7)}
	l := widget.NewList(rows)
	d := drive(t, l, 4, 5)
	l.End()
	d.Draw()
	if rows.first != 2 || rows.n != 5 {
		t.Errorf("window %d, %d", rows.first, rows.n)
	}
}

// million is what the list of the console looks like at its worst.
type million struct{}

func (m *million) Len() int { return 1_000_000 }

func (m *million) Key(row int) any { return row }

func (m *million) Index(key any) int { return key.(int) }

func (m *million) Draw(s tcell.Screen, x, y, w, row int, selected bool) {
	st := tcell.StyleDefault
	if selected {
		st = st.Reverse(true)
	}
	columns := []struct {
		w     int
		text  string
		align widget.Align
	}{
		{2, "●", widget.Left},
		{13, "06:12:44.000"[row%2:], widget.Left},
		{8, "GET", widget.Left},
		{5, "200", widget.Left},
		{w - 60, "api.example.com/v1/users?limit=50&offset=日本"[row%2:], widget.Left},
		{8, "json", widget.Left},
		{12, "1.4k", widget.Right},
		{12, "121ms", widget.Right},
	}
	for _, c := range columns {
		widget.Draw(s, x, y, c.w, c.text, st, c.align)
		x += c.w
	}
}

func benchmarkList(b *testing.B, scroll bool) {
	s, tty := newTerminal(b, 200, 60)
	rows := &million{}
	l := widget.NewList(rows)
	l.SetRect(0, 0, 200, 60)
	b.ReportAllocs()
	for b.Loop() {
		if scroll {
			l.Move(1)
		}
		s.Clear()
		l.Draw(s)
		s.Show()
	}
	out, _ := tty.take()
	b.ReportMetric(float64(len(out))/float64(b.N), "tty-B/op")
}

func BenchmarkListStatic(b *testing.B) { benchmarkList(b, false) }

func BenchmarkListScroll(b *testing.B) { benchmarkList(b, true) }
