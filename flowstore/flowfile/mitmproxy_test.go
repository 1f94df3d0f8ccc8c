package flowfile_test

import (
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/flowstore/flowfile"
)

// mitmdump runs the real thing on files alone: -n keeps it off the network.
func mitmdump(t *testing.T, args ...string) string {
	t.Helper()
	path, err := exec.LookPath("mitmdump")
	if err != nil {
		t.Skip("mitmdump is not installed (Debian: apt-get install mitmproxy)")
	}
	if testing.Short() {
		t.Skip("mitmdump takes seconds to start")
	}
	cmd := exec.CommandContext(t.Context(), path, append([]string{"--set", "confdir=" + t.TempDir(), "-n"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("mitmdump %q: %v\n%s", args, err, out)
	}
	return string(out)
}

// What moontap writes is listed by mitmproxy, and comes back from it the same.
func TestMitmproxyOpensOurs(t *testing.T) {
	all := samples(t)
	names := slices.Sorted(maps.Keys(all))
	ours, theirs := filepath.Join(t.TempDir(), "ours"), filepath.Join(t.TempDir(), "theirs")
	file, err := flowfile.Create(ours)
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if err := file.Write(all[name]); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	out := mitmdump(t, "-r", ours, "--flow-detail", "4", "-w", theirs)
	if bad := regexp.MustCompile(`(?i)traceback|corrupted|addon error|cannot`).FindString(out); bad != "" {
		t.Errorf("mitmdump complains (%s):\n%s", bad, out)
	}
	for _, want := range []string{
		"[replay]: GET http://example.com/a?b=c", "connection refused ☠", "--- HTTP Trailers", "[::1]:50000: GET",
		"DNS UPDATE (A) example.com", "<< www.example.com, 10.1.2.3, 2001:db8::1", "<< no answer",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("mitmdump does not print %q:\n%s", want, out)
		}
	}

	b, err := os.ReadFile(theirs)
	if err != nil {
		t.Fatal(err)
	}
	back := map[flow.ID]*flow.Flow{}
	for _, f := range read(t, b) {
		back[f.ID] = f
	}
	for _, name := range names {
		compareWithOurs(t, name, back[all[name].ID], all[name])
	}
}

func compareWithOurs(t *testing.T, name string, got, want *flow.Flow) {
	t.Helper()
	if got == nil {
		// mitmdump writes flows when they end, and these do not.
		if name != "no response" && name != "hand-made" && name != "missing" {
			t.Errorf("%s: mitmdump did not write it", name)
		}
		return
	}
	if want.Client != nil && got.Client != nil {
		got.Client.Mode = want.Client.Mode // unknown to 8.1.1
	}
	if d := diff(got, want); d != "" {
		t.Errorf("%s: %s", name, d)
	}
}

// What mitmproxy makes of its old files is what moontap makes of them.
func TestUpgradesAgreeWithMitmproxy(t *testing.T) {
	raw := oldest()
	for _, name := range []string{"dumpfile-018.mitm", "dumpfile-019.mitm", "dumpfile-10.mitm"} {
		raw = append(raw, readCorpus(t, name)...)
	}
	in, out := filepath.Join(t.TempDir(), "in"), filepath.Join(t.TempDir(), "out")
	if err := os.WriteFile(in, raw, 0o600); err != nil {
		t.Fatal(err)
	}
	mitmdump(t, "-r", in, "-w", out)
	b, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	theirs := map[flow.ID]*flow.Flow{}
	for _, f := range read(t, b) {
		theirs[f.ID] = f
	}
	if len(theirs) < 2 {
		t.Errorf("mitmdump wrote %d flows; want at least 2", len(theirs))
	}
	for i, got := range read(t, raw) {
		want := theirs[got.ID]
		if want == nil { // it never ended
			continue
		}
		if got.Client != nil { // made up where old files have none
			got.Client.ID, got.Server.ID = want.Client.ID, want.Server.ID
		}
		if d := diff(got, want); d != "" {
			t.Errorf("flow %d: %s", i, d)
		}
	}
}
