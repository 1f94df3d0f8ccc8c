package flowstore_test

import (
	"fmt"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"moontap/flowstore"
	"moontap/flowstore/filter"
	"moontap/flowstore/flow"
)

// typical returns a flow with 2 × 12 header lines and a 1 KB response.
func typical(i int) *flow.Flow {
	f := newFlow(fmt.Sprintf("/api/v1/items/%d?page=2", i))
	f.Request.Header.Add("Host", fmt.Sprintf("host%d.example.com", i%50))
	finish(f, 200)
	for h := range 12 {
		f.Request.Header.Add(fmt.Sprint("X-Request-Header-", h), "a value of some length")
		f.Response.Header.Add(fmt.Sprint("X-Response-Header-", h), "a value of some length")
	}
	f.Response.Body = make([]byte, 1024)
	f.Response.BodySize = int64(i * 7919 % 10007)
	return f
}

// crowd fills a store with n flows that share their headers.
func crowd(n int) *flowstore.Store {
	s := flowstore.New()
	t := typical(0)
	for i := range n {
		f := t.Copy()
		f.Request.Path = fmt.Sprintf("/api/v1/items/%d", i)
		f.Response.BodySize = int64(i * 7919 % 10007)
		s.Add(f)
	}
	return s
}

// BenchmarkPublish publishes each flow four times, as an engine does.
func BenchmarkPublish(b *testing.B) {
	for _, watched := range []bool{false, true} {
		b.Run(fmt.Sprintf("watched=%v", watched), func(b *testing.B) {
			s := crowd(100_000)
			if watched {
				v := flowstore.NewView(s)
				defer v.Close()
			}
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				f := typical(1)
				for i := 0; pb.Next(); i++ {
					if i%4 == 0 {
						f.ID = flow.NewID()
					}
					s.Publish(f)
				}
			})
		})
	}
}

func BenchmarkSubscription(b *testing.B) {
	s := crowd(100_000)
	fs := s.All()
	u := s.Subscribe()
	defer u.Close()
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		s.Publish(fs[i%len(fs)])
		if i%100 == 0 {
			u.Take()
		}
	}
}

// BenchmarkTraffic is one second of 2,000 new flows with four snapshots each
// into a view of 100,000; its CPU time is what counts.
func BenchmarkTraffic(b *testing.B) {
	for _, order := range []string{"time", "url", "size"} {
		b.Run(order, func(b *testing.B) {
			s := crowd(100_000)
			v := flowstore.NewView(s)
			defer v.Close()
			v.SetOrder(order, false)
			x, _ := filter.Parse("items & !~e")
			v.SetFilter(x)
			complete(v)
			window := make([]*flow.Flow, 0, 60)
			b.ResetTimer()
			for range b.N {
				for tick := range 100 {
					for i := range 20 {
						f := typical(tick*20 + i)
						for range 4 {
							s.Publish(f)
						}
					}
					window = v.Window(window, v.Len()-60, 60)
					time.Sleep(10 * time.Millisecond) // the pace: 20 flows each 10 ms are 2,000 a second
				}
			}
			b.StopTimer()
			complete(v)
		})
	}
}

func complete(v *flowstore.View) {
	for {
		if done, total := v.Progress(); done == total {
			return
		}
		<-v.Wake()
	}
}

// BenchmarkFilterMillion filters and sorts a million flows and reports how long
// a reader had to wait for its window at most.
func BenchmarkFilterMillion(b *testing.B) {
	s := crowd(1_000_000)
	for _, tt := range []struct{ expr, order string }{
		{"items/12", "time"}, {"items.*99", "time"}, {"~all", "size"}, {"~all", "url"},
	} {
		b.Run(tt.order+" "+tt.expr, func(b *testing.B) {
			v := flowstore.NewView(s)
			defer v.Close()
			complete(v)
			x, _ := filter.Parse(tt.expr)
			other, _ := filter.Parse("~e")
			var worst atomic.Int64
			for b.Loop() {
				v.SetFilter(other)
				v.SetOrder(tt.order, false)
				complete(v)
				v.SetFilter(x)
				watch(v, &worst)
			}
			b.ReportMetric(float64(worst.Load())/1e6, "worst-read-ms")
		})
	}
}

// watch reads the view a thousand times a second until it is complete.
func watch(v *flowstore.View, worst *atomic.Int64) {
	var window []*flow.Flow
	for {
		start := time.Now()
		window = v.Window(window, v.Len()-60, 60)
		worst.Store(max(worst.Load(), int64(time.Since(start))))
		if done, total := v.Progress(); done == total {
			return
		}
		time.Sleep(time.Millisecond) // the pace of the reader whose waits are measured
	}
}

// BenchmarkMemory reports the bytes that the store itself takes for each flow.
func BenchmarkMemory(b *testing.B) {
	const n = 100_000
	for b.Loop() {
		var before, after runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&before)
		s := flowstore.New()
		t := typical(0)
		for range n {
			t.ID = flow.NewID()
			s.Publish(t)
		}
		runtime.GC()
		runtime.ReadMemStats(&after)
		b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/n, "bytes/flow")
		runtime.KeepAlive(s)
	}
}
