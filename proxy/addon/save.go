package addon

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
	"moontap/proxy/command"
)

// reportEvery is how many flows are handled between two reports of progress.
const reportEvery = 100

// fileCommands read and write flow files.
func fileCommands(cfg Config) []command.Command {
	return []command.Command{
		{
			Name: "save.file", Help: "Save flows to a file; a + before the path appends.",
			Params: []command.Param{flowsParam, {Name: "path", Type: command.Path}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				plus, path := splitPlus(a.Str(1), cfg.Expand)
				if err := SaveFile(ctx, plus+path, a.Flows(0)); err != nil {
					return nil, err
				}
				return count(len(a.Flows(0))) + " saved to " + path, nil
			},
		},
		{
			Name: "view.flows.load", Help: "Add the flows of a file, as they are.",
			Params: []command.Param{{Name: "path", Type: command.Path}},
			Run: func(ctx context.Context, a command.Args) (any, error) {
				n, err := LoadFile(ctx, a.Str(0), cfg.Store)
				if err != nil {
					return nil, err
				}
				return count(n) + " loaded from " + a.Str(0), nil
			},
		},
	}
}

// splitPlus separates the "+" that asks for appending from a path.
func splitPlus(spec string, expand func(string) string) (plus, path string) {
	path, appends := strings.CutPrefix(spec, "+")
	if appends {
		plus = "+"
	}
	if expand != nil {
		path = expand(path)
	}
	return plus, path
}

// SaveFile writes flows to the file at path, or behind what is in it when path
// begins with "+". The file is replaced as a whole once all are written: an
// error, or the end of ctx, leaves it as it was. Appending leaves what was there
// as it was. It reports its progress to ctx.
func SaveFile(ctx context.Context, path string, fs []*flow.Flow) error {
	if strings.HasPrefix(path, "+") || !replaceable(path) {
		return writeFlows(ctx, path, fs)
	}
	path, err := followLinks(path)
	if err != nil {
		return fmt.Errorf("save flows: %w", err)
	}
	dir, err := os.MkdirTemp(filepath.Dir(path), ".moontap-*")
	if err != nil {
		return fmt.Errorf("save flows: %w", err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	tmp := filepath.Join(dir, filepath.Base(path))
	if err := writeFlows(ctx, tmp, fs); err != nil {
		return err
	}
	if fi, err := os.Stat(path); err == nil {
		_ = os.Chmod(tmp, fi.Mode().Perm()) // the new file is private at worst
	}
	if err := os.Rename(tmp, path); err != nil {
		return fmt.Errorf("save flows: %w", err)
	}
	return nil
}

// replaceable reports whether path is a file, or nothing yet, rather than a
// device or pipe that can only be written to.
func replaceable(path string) bool {
	fi, err := os.Stat(path)
	return err != nil || fi.Mode().IsRegular() || fi.IsDir()
}

// followLinks returns the file that path stands for, so that a symbolic link
// survives the file's replacement.
func followLinks(path string) (string, error) {
	target, err := filepath.EvalSymlinks(path)
	if errors.Is(err, os.ErrNotExist) {
		return path, nil // a new file
	}
	return target, err
}

func writeFlows(ctx context.Context, path string, fs []*flow.Flow) (err error) {
	w, err := flowfile.Create(path)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, w.Close()) }()
	for i, f := range fs {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("saving stopped after %s: %w", count(i), context.Cause(ctx))
		}
		if i%reportEvery == 0 {
			command.Report(ctx, i, len(fs), "saving flows")
		}
		if err := w.Write(f); err != nil {
			return err
		}
	}
	return nil
}
