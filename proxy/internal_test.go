package proxy

import (
	"bufio"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/ca"
	"moontap/proxy/hook"
	"moontap/proxy/http1"
)

var testHooks = &hook.Chain{}

type dropFlows struct{}

func (dropFlows) Publish(*flow.Flow) {}

func testAuthority(t *testing.T) *ca.Authority {
	t.Helper()
	a, err := ca.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestSettingsDefaults(t *testing.T) {
	got := Settings{}.withDefaults()
	if got.StreamLargeBodies != defaultHold || got.RecordLimit != defaultRecord || got.BodySizeLimit != unlimited ||
		got.Limits.MaxHead != defaultMaxHead || got.Limits.HeadTimeout != time.Minute {
		t.Errorf("defaults = %+v", got)
	}
	got = Settings{RecordLimit: -1, StreamLargeBodies: 5, BodySizeLimit: -1, Limits: Limits{IdleTimeout: -1}}.withDefaults()
	if got.RecordLimit != unlimited || got.StreamLargeBodies != 5 || got.BodySizeLimit != unlimited || got.Limits.IdleTimeout != forever {
		t.Errorf("settings = %+v", got)
	}
}

// What the sweeper has looked at can be collected when it ends.
func TestSweepLetsGo(t *testing.T) {
	e, err := New(Config{Hooks: testHooks, Publisher: dropFlows{}, CA: testAuthority(t)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = e.Close(t.Context()) }()
	for range 3 {
		c := &client{e: e}
		e.register(c)
		defer e.forget(c)
	}
	cs := e.sweepOnce(time.Now(), nil)
	if len(cs) != 0 || cap(cs) < 3 {
		t.Fatalf("%d of %d", len(cs), cap(cs))
	}
	for _, c := range cs[:cap(cs)] {
		if c != nil {
			t.Error("a client is held on to")
		}
	}
}

func TestRecorder(t *testing.T) {
	for _, tc := range []struct {
		name  string
		known int64
		limit int64
		add   []string
		want  string
		size  int64
	}{
		{"nothing", -1, 10, nil, "", 0},
		{"small", -1, 10, []string{"ab", "cd"}, "abcd", 4},
		{"cut off", -1, 3, []string{"ab", "cd", "ef"}, "abc", 6},
		{"known", 4, 10, []string{"abcd"}, "abcd", 4},
		{"longer than known", 2, 10, []string{"abcd"}, "abcd", 4},
	} {
		t.Run(tc.name, func(t *testing.T) {
			r := recorder{known: tc.known, limit: tc.limit}
			for _, p := range tc.add {
				r.add([]byte(p))
			}
			b := r.body()
			if string(b) != tc.want || r.size != tc.size || cap(b) > 2*len(b) {
				t.Errorf("body %q (cap %d), size %d", b, cap(b), r.size)
			}
		})
	}
}

// A body of known size takes exactly that much memory.
func TestRecorderIsExact(t *testing.T) {
	br := newReader(strings.Repeat("x", 1000))
	if _, err := br.Peek(1000); err != nil {
		t.Fatal(err)
	}
	var body http1.Body
	body.Reset(br, http1.Framing{Kind: http1.Length, Size: 1000}, 100)
	r := recorder{known: 1000, limit: 1 << 20}
	if whole, err := r.collect(&body, 1<<20, true); !whole || err != nil {
		t.Fatal(whole, err)
	}
	if b := r.body(); len(b) != 1000 || cap(b) > 1024 {
		t.Errorf("len %d, cap %d", len(b), cap(b))
	}
}

func TestAheadKeepsWhatItRead(t *testing.T) {
	ours, theirs := net.Pipe()
	defer theirs.Close()
	a := ahead{conn: ours}
	a.watch() // nobody waits: nothing happens
	if a.reading != nil {
		t.Error("reads ahead for nobody")
	}
	x := &exchange{}
	a.wait(x)
	a.watch()
	a.watch() // once is enough
	go func() {
		_, _ = io.WriteString(theirs, "abc")
		_, _ = io.WriteString(theirs, "def")
		theirs.Close()
	}()
	b, err := io.ReadAll(&a)
	if string(b) != "abcdef" || err != nil {
		t.Errorf("read %q, %v", b, err)
	}
}

func TestPoolForgetsWhatIsUnused(t *testing.T) {
	ours, theirs := net.Pipe()
	var p pool
	key := upstreamKey{host: "h"}
	up := &upstream{key: key, raw: ours, conn: ours, br: newReader(""), info: &flow.ServerConn{}}
	p.put(up)
	now := time.Now()
	p.sweep(now, time.Minute)
	if got := p.get(upstreamKey{host: "other"}, false); got != nil {
		t.Error("got a connection to another host")
	}
	if p.get(key, false) != up || p.get(key, false) != nil {
		t.Error("the connection was not there once")
	}
	p.put(up)
	p.sweep(now.Add(2*time.Minute), time.Minute)
	if p.get(key, false) != nil || up.info.End().IsZero() {
		t.Error("the connection was kept")
	}
	if _, err := theirs.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("err = %v", err)
	}
}

// A connection on which the server speaks unasked cannot be used again.
func TestServerGetsTimeToClose(t *testing.T) {
	for _, tc := range []struct{ careful, tried, waits bool }{
		{careful: true, waits: true},
		{careful: true, tried: true},
		{careful: false},
	} {
		since := time.Now()
		u := &upstream{br: newReader(""), tried: tc.tried, since: since}
		if !u.fresh(tc.careful) {
			t.Errorf("%+v: not fresh", tc)
		}
		if waited := time.Since(since) >= settle; tc.waits && !waited {
			t.Errorf("%+v: did not wait", tc)
		}
	}
}

func TestQuiet(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	if !quiet(conn) {
		t.Error("a fresh connection is not quiet")
	}
	_, _ = io.WriteString(peer, "x")
	b := make([]byte, 1)
	if _, err := conn.Read(b); err != nil {
		t.Fatal(err)
	}
	if !quiet(conn) {
		t.Error("an emptied connection is not quiet")
	}
	peer.Close()
	if n, err := conn.Read(b); n != 0 || !errors.Is(err, io.EOF) {
		t.Fatal(n, err)
	}
	if quiet(conn) {
		t.Error("a closed connection is quiet")
	}
}

func newReader(text string) *bufio.Reader {
	return bufio.NewReaderSize(strings.NewReader(text), readBuffer)
}
