package tui

import (
	"fmt"

	"github.com/gdamore/tcell/v2"

	"moontap/tui/theme"
	"moontap/tui/widget"
)

// drawEmpty tells a newcomer what to type, with the values that work here.
func (c *Console) drawEmpty(s tcell.Screen, x, y, w, h int) {
	lines := emptyLines(c.cfg.Info(), w-2)
	y += max(0, (h-len(lines))/2)
	for i, line := range lines {
		if i < h {
			widget.DrawLine(s, &c.theme, x+1, y+i, w-2, line, false)
		}
	}
}

// emptyLines are the lines of the first screen, none wider than w where the
// shell allows it to be broken.
func emptyLines(info Info, w int) []widget.Line {
	lines := []widget.Line{{{Text: "No flows, and nobody listens."}}, nil}
	if info.Listen != "" {
		proxy := "http://" + info.Listen
		lines = []widget.Line{{{Text: "No traffic yet. Point something at the proxy:"}}, nil}
		lines = append(lines, example(w, "shell", "export http_proxy="+proxy, "https_proxy="+proxy)...)
		lines = append(lines, example(w, "one-off", "curl -x "+proxy, "http://example.com/")...)
		if info.CAPath != "" {
			lines = append(lines, example(w, "https", "curl -x "+proxy, "--cacert "+info.CAPath, "https://example.com/")...)
			lines = append(lines, nil)
			lines = append(lines, sentence(w, widget.Span{Text: "For HTTPS, clients have to trust the CA in "},
				widget.Span{Text: info.CAPath, Role: theme.Accent})...)
		}
		lines = append(lines, nil)
	}
	return append(lines, widget.Line{
		{Text: "?", Role: theme.Key},
		{Text: " help   "},
		{Text: ":", Role: theme.Key},
		{Text: " commands   "},
		{Text: "B", Role: theme.Key},
		{Text: " browser   "},
		{Text: "L", Role: theme.Key},
		{Text: " open a saved file   "},
		{Text: "q", Role: theme.Key},
		{Text: " quit"},
	})
}

// drawNothingShown says why the list is empty although there are flows.
func (c *Console) drawNothingShown(s tcell.Screen, x, y, w int) {
	line := widget.Line{{Text: "None of " + plural(c.cfg.Store.Len(), "flow") + " is shown."}}
	hint := func(k, text string) {
		line = append(line, widget.Span{Text: "  "}, widget.Span{Text: k, Role: theme.Key}, widget.Span{Text: " " + text})
	}
	if c.cfg.Options.Str("view_filter") != "" || c.ui.view.filtering {
		hint("f", "changes the filter")
	}
	if c.ui.view.markedOnly {
		hint("M", "shows unmarked flows too")
	}
	widget.DrawLine(s, &c.theme, x+1, y+1, w-2, line, false)
}

// sentence is a text and what it is about, on a line of its own where there is
// no room beside the text.
func sentence(w int, text, about widget.Span) []widget.Line {
	if widget.Width(text.Text)+widget.Width(about.Text) <= w {
		return []widget.Line{{text, about}}
	}
	return []widget.Line{{text}, {{Text: "  "}, about}}
}

// example is a command to type, broken as a shell allows where it is too long.
func example(w int, name string, words ...string) []widget.Line {
	const margin = 11
	var lines []widget.Line
	put := func(text string) {
		lines = append(lines, widget.Line{
			{Text: fmt.Sprintf("  %-*s", margin-2, name), Role: theme.Dim}, {Text: text, Role: theme.Accent},
		})
		name = ""
	}
	text := words[0]
	for _, word := range words[1:] {
		if margin+widget.Width(text)+1+widget.Width(word)+2 <= w {
			text += " " + word
			continue
		}
		put(text + " \\")
		text = "  " + word
	}
	put(text)
	return lines
}
