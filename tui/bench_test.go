package tui

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/flow"
	"moontap/proxy/command"
	"moontap/proxy/option"
	"moontap/tui/widget"
)

// benchStage is a console of 200 by 60 cells over n flows.
func benchStage(b *testing.B, n int) (*Console, *flowstore.Store, *widget.Driver) {
	b.Helper()
	store := flowstore.New()
	for i := range n {
		store.Publish(benchFlow(i))
	}
	c, err := New(Config{Store: store, Options: &option.Set{}, Commands: &command.Registry{}})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(c.Close)
	c.start(context.Background())
	d, err := widget.NewDriver(c.app, c.loop, c.root, 200, 60)
	if err != nil {
		b.Fatal(err)
	}
	for c.view.Len() < n {
		runtime.Gosched()
	}
	d.Draw()
	return c, store, d
}

func benchFlow(i int) *flow.Flow {
	f := respond(request(i, "GET", fmt.Sprintf("https://host%d.example.com/api/v1/things/%d?q=%d", i%50, i, i), ""),
		200, "OK", "application/json", `{"ok":true}`, 12*time.Millisecond)
	f.ID = flow.NewID()
	return f
}

// perFrame is what arrives between two frames at 2,000 flows a second.
const perFrame = 2000 / 30

func benchFrames(b *testing.B, follow bool, key string) {
	c, store, d := benchStage(b, 100_000)
	if err := c.cfg.Options.Set("console_focus_follow", follow); err != nil {
		b.Fatal(err)
	}
	fresh := make([]*flow.Flow, perFrame)
	for b.Loop() {
		b.StopTimer()
		for i := range fresh {
			fresh[i] = benchFlow(i)
			store.Publish(fresh[i])
		}
		b.StartTimer()
		if key == "" {
			d.Draw()
			continue
		}
		if err := d.Keys(key); err != nil {
			b.Fatal(err)
		}
	}
}

// The cost of a frame with 100,000 flows in the list and 2,000 new ones a
// second: while they arrive out of sight, and while every row moves.
func BenchmarkFrame(b *testing.B)       { benchFrames(b, false, "") }
func BenchmarkFrameFollow(b *testing.B) { benchFrames(b, true, "") }

// The time from a key to the frame that shows what it did.
func BenchmarkKey(b *testing.B) { benchFrames(b, false, "j") }

// BenchmarkOpenLargeBody opens a flow with a body of 50 MB, up to the first frame.
func BenchmarkOpenLargeBody(b *testing.B) {
	c, store, d := benchStage(b, 10)
	f := benchFlow(0)
	f.Response.SetBody(make([]byte, 50<<20))
	for i := range f.Response.Body {
		f.Response.Body[i] = "0123456789abcdef\n"[i%17]
	}
	store.Publish(f)
	for b.Loop() {
		c.openFlow(f.ID)
		d.Draw()
		c.pop()
	}
}
