package interop

import (
	"bufio"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// page is what the browser loads; at /echo it upgrades.
func (o *origin) page(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	fmt.Fprint(w, "<!doctype html><title>page</title><p>page</p>")
}

// echo is a WebSocket that answers each small message, once.
func (o *origin) echo(w http.ResponseWriter, r *http.Request) {
	sum := sha1.Sum([]byte(r.Header.Get("Sec-WebSocket-Key") + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"))
	conn, brw, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	defer conn.Close()
	fmt.Fprintf(brw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		base64.StdEncoding.EncodeToString(sum[:]))
	_ = brw.Flush()
	for {
		op, payload, err := readFrame(brw.Reader)
		if err != nil {
			return
		}
		if op == 1 {
			payload = append([]byte("echo: "), payload...)
		}
		_, _ = conn.Write(append([]byte{0x80 | op, byte(len(payload))}, payload...))
		if op == 8 {
			return
		}
	}
}

// readFrame reads a frame of less than 64 KiB from a client.
func readFrame(br *bufio.Reader) (op byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(br, head[:]); err != nil {
		return 0, nil, err
	}
	n := int(head[1] & 0x7f)
	if n == 126 {
		var b [2]byte
		if _, err := io.ReadFull(br, b[:]); err != nil {
			return 0, nil, err
		}
		n = int(binary.BigEndian.Uint16(b[:]))
	}
	buf := make([]byte, 4+n)
	if _, err := io.ReadFull(br, buf); err != nil {
		return 0, nil, err
	}
	mask, payload := buf[:4], buf[4:]
	for i := range payload {
		payload[i] ^= mask[i%4]
	}
	return head[0] & 15, payload, nil
}

// TestPythonWebSocket: Python's websockets on both sides, with permessage-deflate:
// text, large and binary messages, fragments, pings, a close code with reason.
func TestPythonWebSocket(t *testing.T) {
	python := needProgram(t, "/usr/bin/python3", "apt-get install python3 python3-websockets")
	if out, err := try(t, nil, python, "-c", "import websockets"); err != nil {
		missing(t, "Python's websockets is not there; install it: apt-get install python3-websockets\n"+out)
	}
	o := newOrigin(t)
	x := startTap(t, o, "--flow-detail", "3")
	for _, secure := range []bool{false, true} {
		out := newOutput()
		args := []string{filepath.Join("testdata", "websocket.py"), "serve", originIP}
		if secure {
			args = append(args, o.certFile, o.keyFile)
		}
		server := exec.Command(python, args...)
		server.Stdout, server.Stderr = out, out
		if err := server.Start(); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Process.Kill(); _ = server.Wait() })
		p := out.wait(t, `port (\d+)`)[1]
		args = []string{filepath.Join("testdata", "websocket.py"), "talk", x.addr, originName + ":" + p}
		if secure {
			args = append(args, x.caFile)
		}
		if got := run(t, nil, python, args...); !strings.Contains(got, "all well") {
			t.Errorf("secure %v: %s", secure, got)
		}
	}
	x.flows.wait(t, `WebSocket text message`)
}
