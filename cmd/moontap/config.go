package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"

	"moontap/proxy/option"
)

// maxConfig is the size in bytes of the largest config file that is read.
const maxConfig = 1 << 20

// loadConfig sets the options that the file at path names. A file that is not
// there sets nothing. Errors name the file, the line, and the nearest name of an
// option that does not exist. Relative script paths are relative to the file.
func loadConfig(path string, opts *option.Set) error {
	info, err := os.Stat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	if info.Size() > maxConfig {
		return fmt.Errorf("%s is larger than %d bytes", path, maxConfig)
	}
	src, err := os.ReadFile(path)
	if err != nil {
		return fmt.Errorf("read config: %w", err)
	}
	settings, err := parseConfig(path, src)
	if err != nil {
		return err
	}
	for _, s := range settings {
		if s.name == "scripts" {
			s.values = relativeTo(filepath.Dir(path), s.values)
		}
		if err := opts.Parse(s.name, s.values...); err != nil {
			return fmt.Errorf("%s:%d: %w", path, s.line, err)
		}
	}
	return nil
}

// A configLine is one entry of a config file.
type configLine struct {
	setting
	line int
}

// parseConfig reads a YAML mapping of option names to scalars or lists of
// scalars.
func parseConfig(path string, src []byte) ([]configLine, error) {
	file, err := parser.ParseBytes(bytes.TrimPrefix(src, []byte("\uFEFF")), 0)
	if err != nil {
		return nil, fmt.Errorf("%s:%s", path, firstLine(err))
	}
	var out []configLine
	known := anchors{}
	for _, doc := range file.Docs {
		entries, err := mapping(path, doc.Body)
		if err != nil {
			return nil, err
		}
		for _, e := range entries {
			name := e.Key.GetToken()
			values, err := known.scalars(e.Value)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: option %s %w", path, name.Position.Line, name.Value, err)
			}
			out = append(out, configLine{setting{name.Value, values}, name.Position.Line})
		}
	}
	return out, nil
}

func mapping(path string, body ast.Node) ([]*ast.MappingValueNode, error) {
	switch n := body.(type) {
	case nil, *ast.NullNode, *ast.CommentGroupNode:
		return nil, nil
	case *ast.MappingNode:
		return n.Values, nil
	case *ast.MappingValueNode:
		return []*ast.MappingValueNode{n}, nil
	default:
		return nil, fmt.Errorf("%s:%d: a config file holds lines of the form name: value", path, n.GetToken().Position.Line)
	}
}

// anchors are the values that were given names with &name, for *name.
type anchors map[string]ast.Node

// resolve returns what n stands for, without anchors, aliases and tags.
func (a anchors) resolve(n ast.Node) (ast.Node, error) {
	for {
		switch x := n.(type) {
		case *ast.AnchorNode:
			a[x.Name.GetToken().Value] = x.Value
			n = x.Value
		case *ast.AliasNode:
			name := x.Value.GetToken().Value
			v, ok := a[name]
			if !ok {
				return nil, fmt.Errorf("refers to *%s, but there is no &%s above it", name, name)
			}
			delete(a, name) // or a value that holds its own alias would never end
			defer func() { a[name] = v }()
			n = v
		case *ast.TagNode:
			n = x.Value
		default:
			return n, nil
		}
	}
}

// scalars returns the values of an entry: none for null, one for a scalar.
func (a anchors) scalars(n ast.Node) ([]string, error) {
	n, err := a.resolve(n)
	if err != nil {
		return nil, err
	}
	switch n := n.(type) {
	case nil, *ast.NullNode:
		return nil, nil
	case *ast.SequenceNode:
		out := make([]string, 0, len(n.Values))
		for _, v := range n.Values {
			s, err := a.scalar(v)
			if err != nil {
				return nil, err
			}
			out = append(out, s)
		}
		return out, nil
	default:
		s, err := a.scalar(n)
		return []string{s}, err
	}
}

func (a anchors) scalar(n ast.Node) (string, error) {
	n, err := a.resolve(n)
	if err != nil {
		return "", err
	}
	switch n := n.(type) {
	case *ast.LiteralNode:
		return n.Value.Value, nil
	case *ast.StringNode:
		return n.Value, nil
	case *ast.BoolNode:
		return strconv.FormatBool(n.Value), nil
	case *ast.IntegerNode, *ast.FloatNode:
		return n.GetToken().Value, nil
	default:
		return "", errors.New("takes a value or a list of values")
	}
}

func relativeTo(dir string, specs []string) []string {
	out := make([]string, len(specs))
	for i, s := range specs {
		if s != "" && !filepath.IsAbs(s) && !strings.HasPrefix(s, "~") && !strings.HasPrefix(s, `"`) && !strings.HasPrefix(s, "'") {
			s = filepath.Join(dir, s)
		}
		out[i] = s
	}
	return out
}

// expandHome replaces a leading "~" by the home folder of whoever runs moontap.
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

// firstLine is the message of a YAML error without the source excerpt below it,
// and its place in the form line:column before it.
func firstLine(err error) string {
	s, _, _ := strings.Cut(err.Error(), "\n")
	if !strings.HasPrefix(s, "[") {
		return " " + s
	}
	return strings.Replace(s[1:], "] ", ": ", 1)
}
