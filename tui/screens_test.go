package tui

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"
)

var sizes = [][2]int{{80, 24}, {120, 35}, {200, 50}}

// TestMainScreens compares the screens that everybody sees, at three sizes.
func TestMainScreens(t *testing.T) {
	for _, size := range sizes {
		name := fmt.Sprintf("%dx%d", size[0], size[1])
		t.Run(name, func(t *testing.T) {
			onStage(t, size[0], size[1], nil, func(s *stage) { s.golden("empty_" + name) })
			onStage(t, size[0], size[1], samples(), func(s *stage) {
				s.keys("G3k")
				s.golden("list_" + name)
				s.keys("g<enter>")
				s.golden("request_" + name)
				s.keys("<tab>")
				s.golden("response_" + name)
				s.keys("<tab>")
				s.golden("detail_" + name)
			})
		})
	}
}

// TestOtherScreens compares everything else at the smallest usual size.
func TestOtherScreens(t *testing.T) {
	cases := []struct{ name, keys string }{
		{"filter_prompt", "f~m P & ~"},
		{"filter_wrong", "f~c x"},
		{"filtered", "f~d example<enter>"},
		{"filtered_empty", "f~c 999<enter>"},
		{"marked_only", "M"},
		{"order_chooser", "o"},
		{"order_size", "o4"},
		{"edit_chooser", "e"},
		{"edit_line", "em"},
		{"edit_headers", "eh"},
		{"command_prompt", ":flow.m"},
		{"command_unknown", ":flow.marc<enter>"},
		{"intercept_prompt", "i~u "},
		{"intercepting", "i~u nothing<enter>"},
		{"script_live", "U4G|"},
		{"script_marked", "|"},
		{"quit", "q"},
		{"help", "?"},
		{"help_filtered", "?ffilter"},
		{"help_operators", "?G"},
		{"keys", "K"},
		{"options", "O"},
		{"options_changed", "Ofconsole_f<enter><enter>"},
		{"commands", "C"},
		{"doc", ":doc Request<enter>"},
		{"view_held", "5G<enter>"},
		{"view_live", "4G<enter><tab>"},
		{"view_error", "8G<enter><tab>"},
		{"view_500", "7G<enter><tab>"},
		{"view_image", "10G<enter><tab>"},
		{"view_hex", "10G<enter><tab>m3"},
		{"view_form", "9G<enter>"},
		{"view_modes", "<enter><tab>m"},
		{"view_search", "<enter><tab>/ada"},
		{"view_deleted", "<enter>d"},
		{"diff", "e" + "m<ctrl u>PATCH<enter>" + "<enter><shift tab>"},
		{"following", "F"},
		{"duplicate", "D"},
		{"count", "12"},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			onStage(t, 80, 24, samples(), func(s *stage) {
				s.keys(c.keys)
				s.golden(c.name)
			})
		})
	}
}

// What the log has for the user to see is said, unless there is worse to see.
func TestLogAlert(t *testing.T) {
	const alert = slog.LevelInfo + 2
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.log.add(slog.LevelInfo, "", "by the way")
		s.log.add(alert, "", "curl has ended")
		s.settle()
		s.shows("curl has ended")
		s.log.add(slog.LevelError, "", "this is bad")
		s.log.add(alert, "", "wget has ended")
		s.settle()
		s.shows("this is bad")
		s.keys("E")
		s.shows("alert curl has ended", "info  by the way")
	})
}

func TestLogScreen(t *testing.T) {
	onStage(t, 80, 24, samples(), func(s *stage) {
		s.log.add(slog.LevelInfo, "", "listening on 127.0.0.1:8080")
		s.log.add(slog.LevelDebug, "engine", "not shown at this verbosity")
		s.log.add(slog.LevelWarn, "127.0.0.1:57172", "client does not trust the proxy's certificate for api.example.com: is the CA installed?")
		s.log.add(slog.LevelError, "add_header.lua", "add_header.lua:3: attempt to index a nil value (field 'headers')\nstack traceback:\n\tadd_header.lua:3: in function 'response'")
		s.settle()
		s.golden("status_error")
		s.keys("E")
		s.golden("log")
		s.keys("<enter>")
		s.golden("log_entry")
		s.keys("q:set console_eventlog_verbosity debug<enter>")
		s.shows("not shown at this verbosity")
	})
}

// TestPicture keeps the picture of the README like the console: a flow list of
// 100 by 22 cells in the palette for dark terminals.
func TestPicture(t *testing.T) {
	fs := samples()
	for i, asset := range []string{"app.css", "vendor.js", "logo.svg", "fonts/inter.woff2", "data/countries.json", "app.js"} {
		f := request(20+i, "GET", "https://cdn.example.net/app/"+asset, "")
		kind := []string{"text/css", "text/javascript", "image/svg+xml", "font/woff2", "application/json", "text/javascript"}[i]
		fs = append(fs, respond(f, 200, "OK", kind, strings.Repeat("x", 700<<(2*i)), time.Duration(9+13*i)*time.Millisecond))
	}
	onStage(t, 100, 22, fs, func(s *stage) {
		s.must(s.opts.Set("console_palette", "night"))
		s.info.Scripts = 1
		s.keys("7G")
		s.settle()
		s.same("console.svg", s.d.SVG())
	})
}
