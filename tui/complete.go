package tui

import (
	"os"
	"slices"
	"strings"

	"moontap/flowstore/filter"
	"moontap/proxy/command"
	"moontap/proxy/option"
	"moontap/tui/widget"
)

// A candidate is what may stand at the cursor of a prompt.
type candidate = widget.Candidate

// A completer finds the candidates for the end of a line. start is the offset of
// the text that they replace.
type completer func(line string) (start int, cands []candidate)

// flowSpecs are the words that select flows.
var flowSpecs = []candidate{
	{Text: "@focus", Help: "the selected flow"},
	{Text: "@marked", Help: "marked flows"},
	{Text: "@shown", Help: "flows in the list"},
	{Text: "@all", Help: "all flows"},
	{Text: "@hidden", Help: "flows that the filter hides"},
	{Text: "@unmarked", Help: "flows without a mark"},
}

// commandCompleter completes command lines: the command's name, then each
// argument by the type of its parameter.
func commandCompleter(cmds *command.Registry, opts *option.Set, paths completer) completer {
	return func(line string) (int, []candidate) {
		words, start := splitOpen(line)
		if len(words) == 1 {
			return start, matching(commandNames(cmds), words[0])
		}
		c := cmds.Lookup(words[0])
		if c == nil || len(c.Params) == 0 {
			return start, nil
		}
		last := words[len(words)-1]
		if c.Name == "set" && len(words) > 2 {
			return start, matching(optionValues(opts, words[1]), last)
		}
		n := min(len(words)-2, len(c.Params)-1)
		p := c.Params[n]
		if n < len(words)-2 && p.Type != command.Strs && p.Type != command.Line {
			return start, nil
		}
		if p.Type == command.Line {
			open := argumentStart(line, n+1)
			at, cands := commandCompleter(cmds, opts, paths)(line[open:])
			return open + at, cands
		}
		if p.Type == command.Path {
			at, cands := paths(last)
			return start + at, cands
		}
		return argumentCandidates(p, opts, c.Name, start, last)
	}
}

func argumentCandidates(p command.Param, opts *option.Set, cmd string, start int, word string) (int, []candidate) {
	switch {
	case cmd == "set":
		return start, matching(optionNames(opts), word)
	case p.Choices != nil:
		return start, matching(plain(p.Choices()), word)
	}
	switch p.Type {
	case command.Bool:
		return start, matching(plain([]string{"true", "false"}), word)
	case command.Flow, command.Flows:
		if strings.HasPrefix(word, "~") {
			at, cands := completeFilter(word)
			return start + at, cands
		}
		return start, matching(flowSpecs, word)
	case command.Filter:
		at, cands := completeFilter(word)
		return start + at, cands
	default:
		return start, nil
	}
}

// splitOpen splits a line that may end in the middle of a word or a quote. The
// last word begins at start; it is empty after a blank.
func splitOpen(line string) (words []string, start int) {
	if at := openQuote(line); at >= 0 {
		words, _ = splitOpen(line[:at])
		words[len(words)-1] = line[at+1:] // what stands before the quote in the same word stays as it is
		return words, at + 1
	}
	split, _ := command.Split(line) // fails only on open quotes
	for _, w := range split {
		words = append(words, w.Text)
	}
	if len(split) == 0 || strings.HasSuffix(line, " ") || strings.HasSuffix(line, "\t") {
		return append(words, ""), len(line)
	}
	return words, split[len(split)-1].Pos
}

// openQuote returns the offset of the quote that is not closed, -1 if all are.
func openQuote(line string) int {
	at := -1
	for i := range len(line) {
		switch c := line[i]; {
		case at >= 0 && c == line[at]:
			at = -1
		case at < 0 && (c == '"' || c == '\''):
			at = i
		}
	}
	return at
}

// argumentStart is the offset of word n of line, or its length.
func argumentStart(line string, n int) int {
	split, err := command.Split(line)
	if err != nil || n >= len(split) {
		return len(line)
	}
	return split[n].Pos
}

// matching keeps the candidates that begin with word, then those that contain it.
func matching(all []candidate, word string) []candidate {
	var first, then []candidate
	lower := strings.ToLower(word)
	for _, c := range all {
		switch text := strings.ToLower(c.Text); {
		case strings.HasPrefix(text, lower):
			first = append(first, c)
		case strings.Contains(text, lower):
			then = append(then, c)
		}
	}
	return append(first, then...)
}

func plain(texts []string) []candidate {
	out := make([]candidate, len(texts))
	for i, t := range texts {
		out[i].Text = t
	}
	return out
}

func commandNames(cmds *command.Registry) []candidate {
	var out []candidate
	for _, c := range cmds.All() {
		out = append(out, candidate{Text: c.Name, Help: c.Help})
	}
	return out
}

func optionNames(opts *option.Set) []candidate {
	var out []candidate
	for _, o := range opts.All() {
		out = append(out, candidate{Text: o.Name, Help: o.Help})
	}
	return out
}

func optionValues(opts *option.Set, name string) []candidate {
	o, ok := opts.Lookup(name)
	if !ok {
		return nil
	}
	if o.Kind == option.Bool {
		return plain([]string{"true", "false", "toggle"})
	}
	return plain(o.Choices)
}

// completeFilter offers operators for a word that begins with "~".
func completeFilter(line string) (int, []candidate) {
	start := strings.LastIndexAny(line, " ()!&|\"'") + 1
	word := line[start:]
	if !strings.HasPrefix(word, "~") {
		return start, nil
	}
	var cands []candidate
	for _, o := range filter.Operators() {
		if strings.HasPrefix(o.Name, word) {
			cands = append(cands, candidate{Text: o.Name, Help: strings.TrimSpace(string(o.Arg) + "  " + o.Help)})
		}
	}
	return start, cands
}

// maxEntries is how many files of a directory completion looks at.
const maxEntries = 2000

// splitPath separates what is typed of a path into the directory and the start
// of a name. A "+" before it, as for appending to a file, belongs to neither.
func splitPath(line string) (dir, base string) {
	path := strings.TrimPrefix(line, "+")
	slash := strings.LastIndexByte(path, '/') + 1
	return path[:slash], path[slash:]
}

// listDir returns the files of a directory by name; none if it cannot be read.
func listDir(dir string) []os.DirEntry {
	if dir == "" {
		dir = "."
	}
	d, err := os.Open(expandHome(dir))
	if err != nil {
		return nil
	}
	defer func() { _ = d.Close() }()    // read only
	entries, _ := d.ReadDir(maxEntries) // what was read before an error is good enough
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	return entries
}

// pathCandidates are the files that begin with base; directories end in a slash.
func pathCandidates(entries []os.DirEntry, base string) []candidate {
	var cands []candidate
	for _, e := range entries {
		name := e.Name()
		if !strings.HasPrefix(name, base) || base == "" && name[0] == '.' {
			continue
		}
		if e.IsDir() {
			name += "/"
		}
		cands = append(cands, candidate{Text: name})
	}
	return cands
}

// expandHome replaces a leading "~/" by the home directory.
func expandHome(path string) string {
	rest, ok := strings.CutPrefix(path, "~/")
	if !ok {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return strings.TrimSuffix(home, "/") + "/" + rest
}
