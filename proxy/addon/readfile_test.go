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

// saved writes flows for n URLs to a file.
func saved(t *testing.T, n int, change func(*flow.Flow)) string {
	t.Helper()
	s := newSession(t)
	for range n {
		f := newFlow(t, "http://a.com/")
		if change != nil {
			change(f)
		}
		s.store.Add(f)
	}
	path := filepath.Join(t.TempDir(), "in.flow")
	if err := addon.SaveFile(t.Context(), path, s.store.All()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestReadFile(t *testing.T) {
	path := saved(t, 250, func(f *flow.Flow) { f.Live, f.Held = true, true })
	total := 0
	ctx := command.WithProgress(t.Context(), func(done, of int, _ string) {
		total = of
		if done > of {
			t.Errorf("progress %d of %d", done, of)
		}
	})
	n, err := addon.ReadFile(ctx, path, func(f *flow.Flow) error {
		if f.Live || f.Held {
			t.Error("a flow of a file is in progress")
		}
		return nil
	})
	if n != 250 || err != nil {
		t.Errorf("ReadFile = %d, %v; want 250", n, err)
	}
	if fi, _ := os.Stat(path); total != int(fi.Size()) {
		t.Errorf("total = %d; want the size, %d", total, fi.Size())
	}
}

func TestReadFileStops(t *testing.T) {
	path := saved(t, 3, nil)
	enough := errors.New("enough")
	n, err := addon.ReadFile(t.Context(), path, func(*flow.Flow) error { return enough })
	if n != 0 || !errors.Is(err, enough) || err.Error() != "enough" {
		t.Errorf("ReadFile = %d, %v; want the callback's own error", n, err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	n, err = addon.ReadFile(ctx, path, func(*flow.Flow) error {
		cancel(errors.New("esc"))
		return nil
	})
	if n != 1 || err == nil || !strings.Contains(err.Error(), "stopped after 1 flow: esc") {
		t.Errorf("ReadFile = %d, %v; want to stop after one flow", n, err)
	}
}

func TestLoadDamaged(t *testing.T) {
	path := saved(t, 2, nil)
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, data[:len(data)-5], 0o600); err != nil {
		t.Fatal(err)
	}
	s := newSession(t)
	n, err := addon.LoadFile(t.Context(), path, s.store)
	var damage *flowfile.DamageError
	if n != 1 || s.store.Len() != 1 || !errors.As(err, &damage) {
		t.Errorf("LoadFile = %d, %v, %d flows in the store; want one and the damage", n, err, s.store.Len())
	}
	s.fails("view.flows.load "+path, path+": reading stopped at byte")
	if s.store.Len() != 2 {
		t.Errorf("%d flows; want what could be read", s.store.Len())
	}
}

func TestLoadManyFlows(t *testing.T) {
	path := saved(t, 1201, nil)
	s := newSession(t)
	if n, err := addon.LoadFile(t.Context(), path, s.store); n != 1201 || err != nil || s.store.Len() != 1201 {
		t.Errorf("LoadFile = %d, %v, %d flows in the store; want 1201", n, err, s.store.Len())
	}
}

func TestReadFileErrors(t *testing.T) {
	s := newSession(t)
	dir := t.TempDir()
	s.fails("view.flows.load "+filepath.Join(dir, "none"), "none: no such file")
	s.fails("view.flows.load "+dir, "is a directory")
}

func TestReadStandardInput(t *testing.T) {
	in, err := os.Open(saved(t, 2, nil))
	if err != nil {
		t.Fatal(err)
	}
	defer in.Close()
	old := os.Stdin
	os.Stdin = in
	defer func() { os.Stdin = old }()
	if n, err := addon.ReadFile(t.Context(), "-", func(*flow.Flow) error { return nil }); n != 2 || err != nil {
		t.Errorf("ReadFile(-) = %d, %v; want 2", n, err)
	}
}
