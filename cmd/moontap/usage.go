package main

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/spf13/pflag"
)

// flagUsages lists flags with their help, in lines of at most width columns: the
// flag and its value, and the help below or beside it.
func flagUsages(fs *pflag.FlagSet, width int) string {
	const column = 30 // where help begins
	var b strings.Builder
	fs.VisitAll(func(f *pflag.Flag) {
		if f.Hidden {
			return
		}
		value, help := pflag.UnquoteUsage(f)
		head := "      --" + f.Name
		if f.Shorthand != "" {
			head = "  -" + f.Shorthand + ", --" + f.Name
		}
		if f.NoOptDefVal == "" {
			head += " " + value
		}
		lines := wrap(help, max(width-column, 20))
		if utf8.RuneCountInString(head) > column-2 {
			fmt.Fprintln(&b, head)
			head = ""
		}
		for _, line := range lines {
			fmt.Fprintf(&b, "%-*s%s\n", column, head, line)
			head = ""
		}
	})
	return b.String()
}

// wrap breaks text between words into lines of at most width columns. A longer
// word has a line of its own.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		switch {
		case line == "":
			line = word
		case utf8.RuneCountInString(line)+1+utf8.RuneCountInString(word) > width:
			lines = append(lines, line)
			line = word
		default:
			line += " " + word
		}
	}
	return append(lines, line)
}
