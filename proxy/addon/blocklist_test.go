package addon_test

import (
	"errors"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/proxy/addon"
	"moontap/proxy/hook"
)

func contains(err error, text string) bool { return err != nil && strings.Contains(err.Error(), text) }

func TestBlockList(t *testing.T) {
	s := newSession(t)
	c := chain(t, addon.NewBlockList(s.opts))
	s.set("block_list", ":~d ads.com:404", "|~d gone.com|204", "/~u secret/444", ":~d ads.com:500")
	for _, tt := range []struct {
		url    string
		status int
		kill   bool
	}{
		{"http://a.com/", 0, false},
		{"http://ads.com/x", 404, false},
		{"http://gone.com/", 204, false},
		{"http://a.com/secret", 0, true},
	} {
		f := get(t, tt.url)
		f.Note.Metadata = map[string]any{"kept": 1}
		err := c.Request(t.Context(), f)
		if errors.Is(err, hook.ErrKill) != tt.kill {
			t.Errorf("%s: %v; want kill %v", tt.url, err, tt.kill)
		}
		status := 0
		if f.Response != nil {
			status = f.Response.Status
			if f.Response.Header.Has("Content-Length") == (status == 204) {
				t.Errorf("%s: header %v", tt.url, f.Response.Header)
			}
		}
		if f.Note.Metadata["kept"] != 1 {
			t.Errorf("%s: metadata %v; want what was there kept", tt.url, f.Note.Metadata)
		}
		if status != tt.status || (f.Note.Metadata["blocklisted"] == true) != (tt.kill || status > 0) {
			t.Errorf("%s: status %d, metadata %v; want %d", tt.url, status, f.Note.Metadata, tt.status)
		}
	}
}

func TestBlockListLeavesAnswers(t *testing.T) {
	s := newSession(t)
	s.set("block_list", ":~all:404")
	f := get(t, "http://a.com/")
	f.Response = &flow.Response{Status: 299}
	if err := chain(t, addon.NewBlockList(s.opts)).Request(t.Context(), f); err != nil || f.Response.Status != 299 {
		t.Errorf("%v, status %d; want the answer that was there", err, f.Response.Status)
	}
}
