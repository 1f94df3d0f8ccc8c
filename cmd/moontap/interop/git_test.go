package interop

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestGit: clone and push through the proxy, with a pack of a few megabytes.
func TestGit(t *testing.T) {
	needProgram(t, "git", "apt-get install git")
	o := newOrigin(t)
	x := startTap(t, o)
	env := []string{
		"GIT_SSL_CAINFO=" + x.caFile, "HOME=" + t.TempDir(), "GIT_AUTHOR_NAME=a", "GIT_AUTHOR_EMAIL=a@b",
		"GIT_COMMITTER_NAME=a", "GIT_COMMITTER_EMAIL=a@b", "GIT_TERMINAL_PROMPT=0", "GIT_CONFIG_NOSYSTEM=1",
	}
	git := func(args ...string) { t.Helper(); run(t, env, "git", args...) }
	bare := filepath.Join(o.gitRoot, "repo.git")
	git("init", "-q", "--bare", bare)
	git("-C", bare, "config", "http.receivepack", "true")
	work := filepath.Join(t.TempDir(), "work")
	git("init", "-q", "-b", "main", work)
	file := filepath.Join(work, "file")
	var text strings.Builder
	for n := uint32(1); text.Len() < 3<<20; n = n*1664525 + 1013904223 { // does not compress well
		text.WriteByte(byte(n >> 24))
	}
	writeFile(t, file, text.String())
	git("-C", work, "add", "file")
	git("-C", work, "commit", "-q", "-m", "one")
	proxy := []string{"-c", "http.proxy=http://" + x.addr, "-c", "http.postBuffer=16777216"}
	for _, base := range []string{o.plain, o.secure} {
		url := base + "/git/repo.git"
		git(append(proxy, "-C", work, "push", "-q", url, "HEAD:main", "--force")...)
		clone := filepath.Join(t.TempDir(), "clone")
		git(append(proxy, "clone", "-q", "-b", "main", url, clone)...)
		got, err := os.ReadFile(filepath.Join(clone, "file"))
		if err != nil || string(got) != text.String() {
			t.Errorf("%s: the clone has %d bytes, %v", url, len(got), err)
		}
		writeFile(t, file, text.String()+base)
		text.WriteString(base)
		git("-C", work, "commit", "-q", "-a", "-m", base)
	}
}
