package addon_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
	"moontap/proxy/addon"
	"moontap/proxy/command"
)

// urls reads the flows of a file.
func urls(t *testing.T, path string) string {
	t.Helper()
	var out []string
	err := flowfile.ReadFile(path, func(f *flow.Flow) error {
		out = append(out, f.Request.URL())
		return nil
	})
	if err != nil {
		t.Error(err)
	}
	return strings.Join(out, " ")
}

func TestSaveAndLoad(t *testing.T) {
	s := newSession(t)
	path := filepath.Join(t.TempDir(), "a.flow")
	s.add("http://a.com/")
	s.add("http://b.com/")
	if got, want := s.run("save.file @all "+path), "2 flows saved to "+path; got != want {
		t.Errorf("save.file = %v; want %s", got, want)
	}
	s.run("save.file '~d b.com' +" + path)
	if got, want := urls(t, path), "http://a.com/ http://b.com/ http://b.com/"; got != want {
		t.Errorf("file holds %s; want %s", got, want)
	}
	s.run("save.file '~d a.com' " + path)
	if got, want := urls(t, path), "http://a.com/"; got != want {
		t.Errorf("file holds %s; want %s", got, want)
	}
	for range 2 {
		if got, want := s.run("view.flows.load "+path), "1 flow loaded from "+path; got != want {
			t.Errorf("view.flows.load = %v; want %s", got, want)
		}
	}
	if got := s.store.Len(); got != 4 {
		t.Errorf("%d flows after the file was loaded twice; want 4", got)
	}
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(path), ".moontap*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
}

func TestSaveKeepsFileOnError(t *testing.T) {
	s := newSession(t)
	path := filepath.Join(t.TempDir(), "a.flow")
	if err := os.WriteFile(path, []byte("precious"), 0o640); err != nil {
		t.Fatal(err)
	}
	s.add("http://a.com/")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("esc"))
	if err := addon.SaveFile(ctx, path, s.store.All()); err == nil || !strings.Contains(err.Error(), "esc") {
		t.Errorf("SaveFile = %v; want the reason to stop", err)
	}
	s.store.Add(&flow.Flow{ID: flow.NewID(), Kind: flow.KindOther}) // no file can hold it
	if err := addon.SaveFile(t.Context(), path, s.store.All()); err == nil {
		t.Error("SaveFile of a flow that cannot be written succeeded")
	}
	if data, err := os.ReadFile(path); err != nil || string(data) != "precious" {
		t.Errorf("the file now holds %q (%v)", data, err)
	}
	if err := addon.SaveFile(t.Context(), path, nil); err != nil {
		t.Fatal(err)
	}
	if fi, err := os.Stat(path); err != nil || fi.Mode().Perm() != 0o640 || fi.Size() != 0 {
		t.Errorf("replaced file: %v, %v; want the old mode and nothing in it", fi, err)
	}
}

func TestSaveThroughLink(t *testing.T) {
	s := newSession(t)
	s.add("http://a.com/")
	dir := t.TempDir()
	target, link := filepath.Join(dir, "real"), filepath.Join(dir, "link")
	if err := errors.Join(os.WriteFile(target, nil, 0o600), os.Symlink(target, link)); err != nil {
		t.Fatal(err)
	}
	s.run("save.file @all " + link)
	if fi, err := os.Lstat(link); err != nil || fi.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v (%v)", fi.Mode(), err)
	}
	if got := urls(t, target); got != "http://a.com/" {
		t.Errorf("the link's file holds %q", got)
	}
	s.run("save.file @all " + os.DevNull)
	if fi, err := os.Stat(os.DevNull); err != nil || fi.Mode().IsRegular() {
		t.Errorf("%s became %v (%v)", os.DevNull, fi.Mode(), err)
	}
}

func TestSaveExpandsPathBehindPlus(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	s.cfg.Expand = func(p string) string { return strings.Replace(p, "~", dir, 1) }
	var cmds command.Registry
	cmds.Resolve = s.cmds.Resolve
	if err := cmds.Add(addon.Commands(s.cfg, s.in)...); err != nil {
		t.Fatal(err)
	}
	s.add("http://a.com/")
	if _, err := cmds.Run(t.Context(), "save.file @all +~/a.flow"); err != nil {
		t.Fatal(err)
	}
	if got := urls(t, filepath.Join(dir, "a.flow")); got != "http://a.com/" {
		t.Errorf("file holds %q", got)
	}
}

func TestSaveErrors(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	s.fails("save.file @all "+filepath.Join(dir, "none", "a.flow"), "none")
	s.fails("save.file @all "+dir, dir)
	damaged := filepath.Join(dir, "damaged")
	if err := os.WriteFile(damaged, []byte("12:abc"), 0o600); err != nil {
		t.Fatal(err)
	}
	s.fails("save.file @all +"+damaged, "at byte 0")
}

func TestSaveProgress(t *testing.T) {
	s := newSession(t)
	for range 250 {
		s.add("http://a.com/")
	}
	var steps []int
	ctx := command.WithProgress(t.Context(), func(done, total int, _ string) {
		if total != 250 {
			t.Errorf("total = %d; want 250", total)
		}
		steps = append(steps, done)
	})
	if err := addon.SaveFile(ctx, filepath.Join(t.TempDir(), "a"), s.store.All()); err != nil {
		t.Fatal(err)
	}
	if len(steps) != 3 || steps[2] != 200 {
		t.Errorf("progress = %v; want 0, 100, 200", steps)
	}
}
