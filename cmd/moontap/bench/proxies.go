package main

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"
)

// A scenario is one row of a table: a proxy and what it is to do.
type scenario struct {
	name string
	tls  bool
	args func(addr string) []string                          // how to start it so that it listens on addr
	load func(c *config, p *proc, o *origin) (sample, error) // nil: keep-alive requests
	got  []sample
}

func (s *scenario) median() sample {
	byCPU := slices.Clone(s.got)
	slices.SortFunc(byCPU, func(a, b sample) int { return int(a.cpu - b.cpu) })
	byRPS := slices.Clone(s.got)
	slices.SortFunc(byRPS, func(a, b sample) int { return int(a.rps - b.rps) })
	return sample{byRPS[len(byRPS)/2].rps, byCPU[len(byCPU)/2].cpu}
}

const addHeaderLua = `function response(context, flow) flow.response.headers["newheader"] = {"foo"} end` + "\n"

const addHeaderPy = "def response(flow):\n    flow.response.headers['newheader'] = 'foo'\n"

func benchProxies(c *config) error {
	lua, py := filepath.Join(c.dir, "add_header.lua"), filepath.Join(c.dir, "add_header.py")
	if err := os.WriteFile(lua, []byte(addHeaderLua), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(py, []byte(addHeaderPy), 0o600); err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	martian := func(addr string) []string { return []string{self, "child-martian", addr} }
	ours := func(extra ...string) func(string) []string {
		return func(addr string) []string {
			return slices.Concat([]string{c.bin, "dump", "-q", "--ssl-insecure", "--set", "confdir=" + c.dir, "--set", "listen_port=" + port(addr)}, extra)
		}
	}
	rows := []*scenario{
		{name: "martian, tuned, records nothing", args: martian},
		{name: "moontap", args: ours()},
		{name: "moontap -s add_header.lua", args: ours("-s", lua)},
		{name: "martian, tuned, records nothing", tls: true, args: martian},
		{name: "moontap", tls: true, args: ours()},
		{name: "moontap -s add_header.lua", tls: true, args: ours("-s", lua)},
	}
	if mitm := lookUp("mitmdump"); mitm != "" {
		theirs := func(extra ...string) func(string) []string {
			return func(addr string) []string {
				return slices.Concat([]string{mitm, "-q", "--ssl-insecure", "--set", "confdir=" + filepath.Join(c.dir, "mitm"), "--listen-host", "127.0.0.1", "-p", port(addr)}, extra)
			}
		}
		rows = append(rows,
			&scenario{name: "mitmdump -q", args: theirs()},
			&scenario{name: "mitmdump -q -s add_header.py", args: theirs("-s", py)})
	}
	o, err := startOrigin()
	if err != nil {
		return err
	}
	defer o.close()
	if haproxy := lookUp("haproxy"); haproxy != "" {
		rows = append(rows, &scenario{name: "haproxy, reverse", args: c.haproxy(haproxy, o)})
	}
	if err := c.runRows(o, rows); err != nil {
		return err
	}
	printProxies(c, rows)
	return c.benchAddon(o)
}

// haproxy is the floor in C, for plain HTTP.
func (c *config) haproxy(path string, o *origin) func(addr string) []string {
	return func(addr string) []string {
		file := filepath.Join(c.dir, "haproxy.cfg")
		text := fmt.Sprintf("global\n nbthread 2\ndefaults\n mode http\n timeout connect 5s\n timeout client 60s\n timeout server 60s\n"+
			"listen bench\n bind %s\n server origin %s\n", addr, o.http.Addr())
		_ = os.WriteFile(file, []byte(text), 0o600) // haproxy says so when it is not there
		return []string{path, "-f", file, "-db"}
	}
}

// runRows runs the rows one after the other, and that as often as asked.
func (c *config) runRows(o *origin, rows []*scenario) error {
	for range c.rounds {
		for _, r := range rows {
			s, err := c.round(o, r)
			if err != nil {
				return fmt.Errorf("%s: %w", r.name, err)
			}
			r.got = append(r.got, s)
		}
	}
	return nil
}

func (c *config) round(o *origin, r *scenario) (sample, error) {
	addr, err := freeAddr()
	if err != nil {
		return sample{}, err
	}
	args := r.args(addr)
	p, err := start(addr, args[0], args[1:]...)
	if err != nil {
		return sample{}, err
	}
	defer p.stop()
	if r.load != nil {
		return r.load(c, p, o)
	}
	l := &load{proxy: addr, target: o.http.Addr().String(), conns: c.conns}
	if r.tls {
		l.target, l.tls = o.https.Addr().String(), true
	}
	return measure(p, l, c.duration)
}

func printProxies(c *config, rows []*scenario) {
	fmt.Printf("\n1 KB responses, %d keep-alive connections, medians of %d rounds of %v\n\n", c.conns, c.rounds, c.duration)
	fmt.Printf("| %-32s | %-5s | %9s | %11s |\n|%s|%s|%s|%s|\n", "proxy", "", "req/s", "CPU/request",
		dashes(34), dashes(7), dashes(11), dashes(13))
	for _, r := range rows {
		m := r.median()
		scheme := "http"
		if r.tls {
			scheme = "https"
		}
		fmt.Printf("| %-32s | %-5s | %9.0f | %8.1f µs |\n", r.name, scheme, m.rps, micros(m.cpu))
	}
	ratio := func(a, b int) float64 {
		return pairs(rows[a], rows[b], func(x, y sample) float64 { return float64(x.cpu) / float64(y.cpu) })
	}
	fmt.Printf("\nCPU per request beside bare martian: http %.2f (target 0.85, %s), https %.2f (target 0.95, %s)\n",
		ratio(1, 0), verdict(ratio(1, 0) <= 0.85), ratio(4, 3), verdict(ratio(4, 3) <= 0.95))
	if len(rows) > 7 && strings.HasPrefix(rows[6].name, "mitmdump") {
		faster := func(x, y sample) float64 { return x.rps / y.rps }
		a, b := pairs(rows[1], rows[6], faster), pairs(rows[2], rows[7], faster)
		fmt.Printf("requests a second beside mitmdump: %.1f times, with add_header %.1f times (target 15, %s)\n", a, b, verdict(a >= 15 && b >= 15))
	} else {
		fmt.Println("mitmdump is not installed (Debian: apt-get install mitmproxy): no comparison")
	}
}

// pairs compares two rows round by round, so that what the machine does besides
// hits both alike, and returns the median.
func pairs(a, b *scenario, compare func(x, y sample) float64) float64 {
	all := make([]float64, len(a.got))
	for i := range all {
		all[i] = compare(a.got[i], b.got[i])
	}
	slices.Sort(all)
	return all[len(all)/2]
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }
