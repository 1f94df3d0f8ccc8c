package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
)

// newFlows is the rate at which flows arrive while the console is measured.
const newFlows = 2000

// keysTyped is how many keys are timed.
const keysTyped = 200

// A screen is the console on a pseudo-terminal, with what it wrote lately.
type screen struct {
	tty  *os.File
	mu   sync.Mutex
	cond *sync.Cond
	out  []byte
	dead bool
}

func newScreen(tty *os.File) *screen {
	s := &screen{tty: tty}
	s.cond = sync.NewCond(&s.mu)
	go func() {
		buf := make([]byte, 64<<10)
		for {
			n, err := tty.Read(buf)
			s.mu.Lock()
			s.out = append(s.out, buf[:n]...)
			if len(s.out) > 1<<20 {
				s.out = append([]byte(nil), s.out[len(s.out)-1<<18:]...)
			}
			s.dead = err != nil
			s.cond.Broadcast()
			s.mu.Unlock()
			if err != nil {
				return
			}
		}
	}()
	return s
}

// press types keys and returns how long it took until want was written after it.
func (s *screen) press(keys, want string) (time.Duration, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out = s.out[:0]
	t0 := time.Now()
	if _, err := s.tty.WriteString(keys); err != nil {
		return 0, err
	}
	timer := time.AfterFunc(10*time.Second, func() {
		s.mu.Lock()
		s.dead = true
		s.cond.Broadcast()
		s.mu.Unlock()
	})
	defer timer.Stop()
	for !bytes.Contains(s.out, []byte(want)) {
		if s.dead {
			return 0, fmt.Errorf("no %q on the screen after typing %q", want, keys)
		}
		s.cond.Wait()
	}
	return time.Since(t0), nil
}

// benchConsole fills the list, keeps flows coming and types. The console's own
// share is what the process uses beyond the headless program under the same load.
func benchConsole(c *config) error {
	o, err := startOrigin()
	if err != nil {
		return err
	}
	defer o.close()
	addr, err := freeAddr()
	if err != nil {
		return err
	}
	headless, err := start(addr, c.bin, "dump", "-q", "--set", "confdir="+c.dir, "-p", port(addr))
	if err != nil {
		return err
	}
	base, _, err := paced(headless.cmd.Process.Pid, addr, o, c.duration, nil)
	headless.stop()
	if err != nil {
		return err
	}

	if addr, err = freeAddr(); err != nil {
		return err
	}
	cmd := exec.Command(c.bin, "--set", "confdir="+c.dir, "--set", "console_focus_follow=true", "-p", port(addr))
	cmd.Env = append(os.Environ(), "TERM=xterm-256color", "LANG=C.UTF-8")
	tty, err := startPTY(cmd, 50, 200)
	if err != nil {
		return err
	}
	defer func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		tty.Close()
	}()
	s := newScreen(tty)
	if err := waitListen(addr); err != nil {
		return err
	}
	fill := &load{proxy: addr, target: o.http.Addr().String(), conns: c.conns, limit: int64(c.flows)}
	if err := fill.run(context.Background()); err != nil {
		return fmt.Errorf("fill the list: %w", err)
	}
	var lat []time.Duration
	share, sent, err := paced(cmd.Process.Pid, addr, o, max(c.duration, 8*time.Second), func() error {
		lat, err = typeKeys(s)
		return err
	})
	if err != nil {
		return err
	}
	total := fill.done.Load() + sent
	listed := countFlows(s, total)
	slices.Sort(lat)
	p99 := lat[len(lat)*99/100]
	fmt.Printf("\nConsole 200x50, %d flows in the list, %d new a second, following\n\n", c.flows, newFlows)
	fmt.Printf("CPU %.1f %% of one core, headless %.1f %%, the console's share %.1f %% (target 25, %s)\n",
		share*100, base*100, (share-base)*100, verdict(share-base < 0.25))
	fmt.Printf("key to screen: median %.1f ms, 99th percentile %.1f ms (target 50, %s)\n",
		float64(lat[len(lat)/2])/1e6, float64(p99)/1e6, verdict(p99 < 50*time.Millisecond))
	fmt.Printf("requests answered %d, flows in the list %d (none may be missing, %s)\n", total, listed, verdict(listed >= total))
	fmt.Printf("resident memory %.0f MB, %.1f KB a flow\n", float64(rss(cmd.Process.Pid))/1e6, float64(rss(cmd.Process.Pid))/1e3/float64(total))
	return nil
}

// paced loads a proxy at newFlows a second for d, runs during meanwhile, and
// returns the share of a core that process pid used and the requests answered.
func paced(pid int, addr string, o *origin, d time.Duration, during func() error) (float64, int64, error) {
	l := &load{proxy: addr, target: o.http.Addr().String(), conns: 32, pace: newFlows}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	errc := make(chan error, 1)
	go func() { errc <- l.run(ctx) }()
	time.Sleep(time.Second)
	c0, err := cpuOf(pid)
	if err != nil {
		return 0, 0, err
	}
	t0 := time.Now()
	if during != nil {
		if err := during(); err != nil {
			return 0, 0, err
		}
	}
	time.Sleep(d - time.Since(t0))
	c1, err := cpuOf(pid)
	if err != nil {
		return 0, 0, err
	}
	used := time.Since(t0)
	cancel()
	if err := <-errc; err != nil {
		return 0, 0, err
	}
	return float64(c1-c0) / float64(used), l.done.Load(), nil
}

// typeKeys opens the ":" prompt and types letters that nothing else on the
// screen shows, so that the echo of each is unmistakable.
func typeKeys(s *screen) ([]time.Duration, error) {
	if _, err := s.press(":", ":"); err != nil {
		return nil, err
	}
	var lat []time.Duration
	for i := range keysTyped {
		r := string(rune(0x0250 + i%80))
		d, err := s.press(r, r)
		if err != nil {
			return nil, err
		}
		lat = append(lat, d)
		if i%40 == 39 { // empty the prompt before it scrolls
			if _, err := s.tty.WriteString("\x15"); err != nil {
				return nil, err
			}
		}
		time.Sleep(25 * time.Millisecond)
	}
	_, err := s.tty.WriteString("\x15\x1b")
	time.Sleep(200 * time.Millisecond)
	return lat, err
}

// flowCount is the count in the console's header.
var flowCount = regexp.MustCompile(`(\d[\d ]*) flows`)

// countFlows reads how many flows the console says that it has, at least want of
// them when none is missing. Resizing the terminal makes it draw everything again.
func countFlows(s *screen, want int64) int64 {
	var n int64
	for rows := range uint16(20) {
		if err := resize(s.tty, 40+rows, 200); err != nil {
			return n
		}
		time.Sleep(300 * time.Millisecond)
		s.mu.Lock()
		for _, m := range flowCount.FindAllSubmatch(s.out, -1) {
			if c, err := strconv.ParseInt(strings.ReplaceAll(string(m[1]), " ", ""), 10, 64); err == nil {
				n = max(n, c)
			}
		}
		s.mu.Unlock()
		if n >= want {
			break
		}
	}
	return n
}

func waitListen(addr string) error {
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if c, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			c.Close()
			return nil
		}
	}
	return fmt.Errorf("nothing listens on %s", addr)
}

func port(addr string) string { return addr[strings.LastIndexByte(addr, ':')+1:] }

func dashes(n int) string { return strings.Repeat("-", n) }
