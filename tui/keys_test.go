package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"moontap/tui/keymap"
)

// ways lead from the list to every context.
var ways = map[string]string{
	inFlowList: "", inFlowView: "<enter>", inEventLog: "E", inOptions: "O", inCommands: "C",
	inKeybindings: "K", inHelp: "?", inOutput: ":doc<enter>",
}

// leaves are the commands that end or stop the program.
var leaves = []string{"console.exit", "console.suspend"}

// TestEveryKeyEverywhere presses every key in every context, with and without
// flows, at odd sizes: nothing may panic, and something must be on the screen.
func TestEveryKeyEverywhere(t *testing.T) {
	for context, way := range ways {
		for _, size := range [][2]int{{80, 24}, {40, 8}, {1, 1}} {
			t.Run(fmt.Sprintf("%s_%dx%d", context, size[0], size[1]), func(t *testing.T) {
				onStage(t, size[0], size[1], samples(), func(s *stage) {
					s.edit = func(text []byte) []byte { return text }
					for _, b := range Bindings() {
						if !slices.Contains(leaves, b.Command) {
							s.press(way, "<"+b.Key+">")
						}
					}
				})
			})
		}
	}
}

// press goes the way from the list to a context and presses a key there, and
// some more in what that may have opened.
func (s *stage) press(way, key string) {
	s.Helper()
	s.c.answered()
	s.c.ui.stack, s.c.ui.armed = nil, time.Time{}
	if s.store.Len() == 0 {
		s.store.Undo()
	}
	s.must(s.d.Keys(way))
	for _, k := range []string{key, "j", "<enter>", "x", "<esc>", key, "<esc>"} {
		s.must(s.d.Keys(k))
	}
	if strings.TrimSpace(s.d.Text()) == "" {
		s.Errorf("nothing is on the screen after %s%s", way, key)
	}
}

// TestEveryKeyWithoutFlows does the same where there is nothing to act on.
func TestEveryKeyWithoutFlows(t *testing.T) {
	onStage(t, 80, 24, nil, func(s *stage) {
		for _, b := range Bindings() {
			if !slices.Contains(leaves, b.Command) && b.Command != "console.interrupt" {
				s.must(s.d.Keys("<" + b.Key + ">"))
				s.must(s.d.Keys("<esc>"))
			}
		}
	})
}

func TestTinySizes(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		for _, way := range ways {
			s.keys(way)
			for w := 1; w < 60; w += 3 {
				for h := 1; h < 14; h++ {
					s.d.Resize(w, h)
				}
			}
			s.keys("<esc>")
			for s.c.top().context() != inFlowList {
				s.keys("q")
			}
		}
	})
}

// TestBindings checks the table: keys that parse, commands that exist, help.
func TestBindings(t *testing.T) {
	onStage(t, 80, 24, nil, func(s *stage) {
		elsewhere := []string{"replay.client", "browser.start"} // registered by packages that are not part of this test
		for _, b := range Bindings() {
			if _, err := keymap.Parse(b.Key); err != nil {
				t.Errorf("%s: %v", b.Key, err)
			}
			if name := firstWord(b.Command); s.cmds.Lookup(name) == nil && !slices.Contains(elsewhere, name) {
				t.Errorf("%s runs %s, which does not exist", b.Key, name)
			}
			if b.Help == "" || len(b.Contexts) == 0 {
				t.Errorf("%s has no help or no context", b.Key)
			}
		}
		for _, cmd := range s.cmds.All() {
			if cmd.Help == "" {
				t.Errorf("%s has no help", cmd.Name)
			}
		}
	})
}
