package tui

import (
	"moontap/flowstore"
	"moontap/flowstore/contentview"
	"moontap/flowstore/filter"
	"moontap/proxy/option"
	"moontap/tui/theme"
)

// Options returns the settings of the console. [New] adds those that are not in
// the set yet.
func Options() []option.Option {
	return []option.Option{
		{
			Name: "console_default_contentview", Kind: option.Choice, Default: "auto", Choices: contentview.Names(),
			Help: "The view in which bodies are first shown.",
		},
		{
			Name: "console_eventlog_verbosity", Kind: option.Choice, Default: "info", Choices: levelNames,
			Help: "The least important entries that the event log and the status line show.",
		},
		{
			Name: "console_focus_follow", Kind: option.Bool, Default: false,
			Help: "Focus follows new flows.",
		},
		{
			Name: "console_mouse", Kind: option.Bool, Default: true,
			Help: "Clicks and the wheel act on the console. Hold shift to select text with the mouse.",
		},
		{
			Name: "console_palette", Kind: option.Choice, Default: theme.Names()[0], Choices: theme.Names(),
			Help: "Colours of the console.",
		},
		{
			Name: "console_strip_trailing_newlines", Kind: option.Bool, Default: false,
			Help: "Strip the line ends that editors add to the end of bodies.",
		},
		{
			Name: "view_filter", Kind: option.OptString, Default: nil, Check: checkFilter,
			Help: "Show only flows that match this filter expression.",
		},
		{
			Name: "view_order", Kind: option.Choice, Default: "time", Choices: orderKeys(),
			Help: "What flows are sorted by.",
		},
		{
			Name: "view_order_reversed", Kind: option.Bool, Default: false,
			Help: "Sort flows the other way round.",
		},
	}
}

func checkFilter(v any) error {
	expr, _ := v.(string)
	_, err := filter.Parse(expr)
	return err
}

func orderKeys() []string {
	var keys []string
	for _, o := range flowstore.Orders() {
		keys = append(keys, o.Key)
	}
	return keys
}

// levelNames are the levels of console_eventlog_verbosity, as mitmproxy names them.
var levelNames = []string{"error", "warn", "info", "debug"}
