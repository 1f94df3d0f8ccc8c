package luaapi

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// A script is what the text of -s names.
type script struct {
	spec string   // as given
	path string   // absolute
	args []string // what follows the path
}

// parseSpec splits spec into the path of a script and its arguments and makes
// the path absolute.
func parseSpec(spec string) (script, error) {
	words, err := shellSplit(spec)
	if err != nil {
		return script{}, fmt.Errorf("script %q: %w", spec, err)
	}
	if len(words) == 0 {
		return script{}, errors.New("no script is named")
	}
	path, err := filepath.Abs(expandHome(words[0]))
	if err != nil {
		return script{}, fmt.Errorf("script %q: %w", spec, err)
	}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		return script{}, fmt.Errorf("script %s: %w", words[0], errors.Unwrap(err))
	case info.IsDir():
		return script{}, fmt.Errorf("script %s: is a directory", words[0])
	}
	return script{spec: spec, path: path, args: words[1:]}, nil
}

// expandHome replaces a leading "~" by the home directory.
func expandHome(path string) string {
	if path != "~" && !strings.HasPrefix(path, "~/") {
		return path
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return path
	}
	return filepath.Join(home, path[1:])
}

// shellSplit splits s into words as a POSIX shell does: at blanks, with '…',
// "…" and backslashes, and without expanding anything.
func shellSplit(s string) ([]string, error) {
	var words []string
	var word strings.Builder
	inWord := false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case ' ', '\t', '\n':
			if inWord {
				words = append(words, word.String())
				word.Reset()
				inWord = false
			}
			continue
		case '\'', '"':
			end, err := quoted(&word, s, i)
			if err != nil {
				return nil, err
			}
			i = end
		case '\\':
			if i++; i == len(s) {
				return nil, errors.New("nothing follows the last backslash")
			}
			word.WriteByte(s[i])
		default:
			word.WriteByte(c)
		}
		inWord = true
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// quoted writes what is between the quote at s[i] and its partner, whose place
// it returns.
func quoted(w *strings.Builder, s string, i int) (end int, err error) {
	q := s[i]
	for j := i + 1; j < len(s); j++ {
		switch {
		case s[j] == q:
			return j, nil
		case s[j] == '\\' && q == '"' && j+1 < len(s) && strings.IndexByte(`"\$`+"`", s[j+1]) >= 0:
			j++
		}
		w.WriteByte(s[j])
	}
	return 0, fmt.Errorf("quote %c is not closed", q)
}
