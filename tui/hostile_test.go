package tui

import (
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"moontap/flowstore/flow"
)

// attacks are what a peer may send to take over the terminal or to mislead the
// person before it.
var attacks = []string{
	"\x1b]0;PWNED\x07",
	"\x1b]52;c;cm0gLXJmIC8=\x07",
	"\x1b[2J\x1b[H",
	"a\r\nb\x00c\x08d\x7f",
	"\u009b31m",
	"\u202egnp.exe",
	"\U000e0041\U000e0042",
	"[:::http://evil.example/]click[-:-:-:-]",
	"[red]tag[white]",
	"e" + strings.Repeat("\u0301", 200),
	"\xff\xfe\xc3\x28",
	"$<100>",
}

// hostile makes a flow of which every text is an attack.
func hostile(n int, attack string) *flow.Flow {
	f := respond(request(n, "GET"+attack, "http://a.example/", attack), 200, attack, attack, attack, time.Second)
	f.Request.Path = "/" + attack
	f.Request.Host = "host" + attack
	f.Request.Version = attack
	f.Request.Header.Add("X"+attack, attack)
	f.Response.Header.Add("X"+attack, attack)
	f.Response.Header.Add("Content-Encoding", attack)
	f.Note.Comment = attack
	f.Client.Peer = attack
	f.Server.Addr = attack
	f.Error = &flow.Error{Msg: attack, Time: at}
	f.KeepBackup()
	f.Response.Reason = "changed" + attack
	return f
}

// clean fails the test if a cell holds what must not reach a terminal.
func (s *stage) clean(after string) {
	s.Helper()
	cells, _, _ := s.d.Sim.GetContents()
	for _, c := range cells {
		for _, r := range c.Runes {
			if unicode.IsControl(r) || unicode.Is(unicode.Cf, r) && r != '\u200d' || len(c.Runes) > 16 {
				s.Fatalf("after %s the screen has a cell %q", after, string(c.Runes))
			}
		}
	}
}

func TestHostileFlows(t *testing.T) {
	var fs []*flow.Flow
	for i, attack := range attacks {
		fs = append(fs, hostile(i+1, attack))
	}
	onStage(t, 120, 35, fs, func(s *stage) {
		for i, attack := range attacks {
			s.log.add(8, attack, attack)
			s.c.say(toneWarn, "%s", attack)
			s.settle()
			for _, keys := range []string{
				fmt.Sprintf("%dG", i+1), "e", "<esc>", "em", "<esc>", "eh", "q", "<enter>", "<tab>", "<tab>", "<tab>", "<tab>",
				"/x<enter>", "q", "E", "<enter>", "q", "q",
			} {
				s.keys(keys)
				s.clean(fmt.Sprintf("%q on flow %q", keys, attack))
			}
		}
	})
}
