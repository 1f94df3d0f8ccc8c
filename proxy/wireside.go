package proxy

import (
	"errors"
	"io"
	"net/http"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// This file is a wire as the client's side of an exchange.

var (
	_ downstream = (*wire)(nil)
	_ rider      = (*wire)(nil)
)

func (w *wire) exchange() *exchange     { return w.x }
func (w *wire) standIn() *http.Response { return &w.stub }
func (w *wire) answered(keep bool) bool { return !keep || w.broken }

func (w *wire) from() *route      { return &w.route }
func (w *wire) await(x *exchange) { w.in.wait(x) }
func (w *wire) reading() *stall   { return &w.due }
func (w *wire) hurry()            { _ = w.c.raw.SetReadDeadline(time.Now()) }
func (w *wire) cut()              { w.c.raw.Close() }

// inform passes a 1xx response on as it is, to a client that can take it.
func (w *wire) inform(h *http1.ResponseHead, raw string) {
	if w.x.in.Version != "HTTP/1.1" {
		return
	}
	if raw != "" {
		_ = w.write([]byte(raw))
		return
	}
	b := http1.AppendStatusLine(nil, "HTTP/1.1", h.Status, http.StatusText(h.Status))
	for i := range h.Header {
		b = http1.AppendField(b, h.Header[i].Name, h.Header[i].Value)
	}
	_ = w.write(append(b, "\r\n"...))
}

func (w *wire) whole(x *exchange, f http1.Framing) (bool, error) {
	r := x.f.Response
	keep := x.keep(f)
	buf := headBuffers.Get().(*[]byte)
	defer headBuffers.Put(buf)
	b, err := x.appendResponseHead((*buf)[:0], f, keep)
	if err != nil {
		return false, err
	}
	x.down.sent = true
	rest := []byte(nil)
	switch {
	case f.Kind == http1.NoBody:
	case f.Kind == http1.Length && len(r.Body) > inline:
		rest = r.Body
	default:
		b = appendWhole(b, &r.Message, f)
	}
	if cap(b) <= 2*inline {
		*buf = b[:0]
	}
	err = w.write(b)
	if err == nil && rest != nil {
		err = w.write(rest)
	}
	if err != nil {
		return false, errClientGone
	}
	return keep, nil
}

func (w *wire) live(x *exchange, f http1.Framing) (sink, bool, error) {
	keep := x.keep(f)
	head, err := x.appendResponseHead(nil, f, keep)
	if err != nil {
		return nil, false, err
	}
	x.down.sent = true
	out := sink(nowhere{})
	switch f.Kind {
	case http1.NoBody:
	case http1.Chunked:
		out = &liveWriter{write: w.write, framed: true, buf: head}
		head = http1.AppendChunk(head, x.down.rec.buf)
	default:
		out = &liveWriter{write: w.write}
		head = append(head, x.down.rec.buf...)
	}
	if w.write(head) != nil {
		return nil, false, errClientGone
	}
	return out, keep, nil
}

func (w *wire) errorPage(x *exchange, status int, msg string) (bool, error) {
	keep := x.keep(http1.Framing{}) && x.upload.done == nil && x.in.src.Done()
	return keep, w.write(errorPage(x.in.Method, status, msg, keep))
}

// maxDiscard is how much of an unwanted body is read so that the connection can
// go on.
const maxDiscard = 256 << 10

func (w *wire) discard(x *exchange) bool {
	if x.unsent() {
		return false
	}
	w.due.set(x.e, x.set.Limits.HeadTimeout)
	defer w.due.clear()
	_, err := io.CopyN(io.Discard, x.in.src, maxDiscard)
	return errors.Is(err, io.EOF) && x.in.src.Done()
}

// linger lets the client read what it was sent before the connection is closed
// under what it still sends (RFC 9112, section 9.6).
func (w *wire) linger() {
	if cw, ok := w.Conn.(closeWriter); ok && !w.broken {
		_ = cw.CloseWrite()
		_ = w.c.raw.SetReadDeadline(time.Now().Add(lingerTime))
		_, _ = io.CopyN(io.Discard, w.c.raw, lingerBytes)
	}
	w.broken = true
}

const (
	lingerTime  = time.Second
	lingerBytes = 4 << 20
)

// keep reports whether the client's connection may go on after a response in
// framing f, as far as is known before it.
func (x *exchange) keep(f http1.Framing) bool {
	switch h := x.in.Header; {
	case f.Kind >= http1.UntilClose, h.HasToken("Connection", "close"), x.e.closing.Load(), x.unsent():
		return false
	default:
		return x.in.Version == "HTTP/1.1" || h.HasToken("Connection", "keep-alive")
	}
}

// appendResponseHead appends the head for the client: the flow's own fields,
// with Connection and the framing as they are on this side.
func (x *exchange) appendResponseHead(dst []byte, f http1.Framing, keep bool) ([]byte, error) {
	r := x.f.Response
	if err := http1.CheckResponse(r.Status, r.Reason, r.Header); err != nil && !x.set.Loose {
		return dst, err
	}
	reason := r.Reason
	if reason == "" && r.Version == "HTTP/2.0" {
		reason = http.StatusText(r.Status) // HTTP/2 has none, some clients need one
	}
	dst = http1.AppendStatusLine(dst, "HTTP/1.1", r.Status, reason)
	switching := r.Status == http.StatusSwitchingProtocols
	said := false
	bare := f.Kind == http1.NoBody || f.Kind == http1.Coded || x.set.Loose && framedBy(r.Header, f)
	dst = appendFields(dst, r.Header, f, bare, func(fd flow.Field) bool {
		switch {
		case switching:
			return false
		case is(fd.Name, "Connection"):
			fits := flow.Header{fd}.HasToken("Connection", "close") != keep
			said = said || fits
			return !fits
		}
		return is(fd.Name, "Keep-Alive") || is(fd.Name, "Proxy-Connection")
	})
	switch {
	case said || switching:
	case !keep:
		dst = http1.AppendField(dst, "Connection", "close")
	case x.in.Version == "HTTP/1.0":
		dst = http1.AppendField(dst, "Connection", "keep-alive")
	}
	return append(dst, "\r\n"...), nil
}
