package proxy

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/hook"
)

// A talk is a TCP flow in progress: bytes between a client and a server, as they
// come.
type talk struct {
	*conversation
	w  *wire
	up *upstream
}

// raw carries bytes and records them as a TCP flow.
func (t *tunnel) raw() {
	if !t.admitted() {
		return
	}
	e := t.w.c.e
	if err := t.connect(e.ctx); err != nil {
		t.failed(err)
		return
	}
	up := t.up
	t.up = nil
	defer up.close()
	e.log.Debug("raw tunnel", "client", t.w.c.info.Load().Peer, "server", up.info.Addr)
	f := &flow.Flow{
		ID: flow.NewID(), Kind: flow.KindTCP, Live: true, Created: time.Now(),
		Client: t.w.c.info.Load(), Server: up.info,
	}
	ctx, cancel := context.WithCancelCause(e.ctx)
	defer cancel(nil)
	k := &talk{w: t.w, up: up}
	k.conversation = e.converse(ctx, f, t.set, func(cause error) {
		cancel(cause)
		k.hangUp()
	})
	if err := k.start(k.send); err != nil {
		k.abort(err)
	} else {
		k.carry()
	}
	k.end(func() { k.fail(context.Cause(ctx)) })
	f.Live = false
	e.cfg.Publisher.Publish(f)
}

// hangUp makes both directions end.
func (k *talk) hangUp() {
	k.up.raw.Close()
	k.w.c.raw.Close()
}

// fail records why the flow broke, if it did.
func (k *talk) fail(err error) {
	switch {
	case err == nil:
		return
	case errors.Is(err, hook.ErrKill):
		err = hook.ErrKill
	case k.e.closing.Load():
		err = errShutdown
	}
	k.f.Error = &flow.Error{Msg: err.Error(), Time: time.Now()}
}

// carry passes bytes on until both sides have ended. When one ends its sending,
// the other still gets its turn.
func (k *talk) carry() {
	stop := make(chan struct{})
	go func() {
		defer close(stop)
		k.oneWay(false)
	}()
	k.oneWay(true)
	// What is left is a client that may send to a server that says nothing more.
	_ = k.w.c.raw.SetReadDeadline(time.Now().Add(k.set.Limits.IdleTimeout))
	<-stop
}

// oneWay passes on what one side sends.
func (k *talk) oneWay(toClient bool) {
	src, dst, from := k.w.br, k.up.conn, "client"
	if toClient {
		src, dst, from = k.up.br, k.w.Conn, "server"
	}
	err := k.copy(toClient, src)
	if err != nil {
		k.abort(fmt.Errorf("%s: %w", from, plainError(err)))
		return
	}
	l := k.lane(toClient)
	l.close()
	if l.take(k.ctx) {
		endWriting(dst, nil)
		l.give()
	}
}

// copy passes on what src says, in the pieces in which it comes.
func (k *talk) copy(toClient bool, src *bufio.Reader) error {
	for {
		if _, err := src.Peek(1); err != nil {
			return endOf(err)
		}
		m := flow.StreamMessage{FromClient: !toClient, Time: time.Now()}
		buf := copyBuffers.Get().(*[copyBuffer]byte)
		n, err := src.Read(buf[:])
		m.Content = bytes.Clone(buf[:n])
		copyBuffers.Put(buf)
		if err != nil {
			return endOf(err)
		}
		if err := k.forward(toClient, &m); err != nil {
			return err
		}
	}
}

func endOf(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// forward records a message, has the hooks see it, and sends it.
func (k *talk) forward(toClient bool, m *flow.StreamMessage) error {
	if !k.wanted() {
		k.record(m)
	} else if err := k.pass(m); err != nil {
		return err
	}
	l := k.lane(toClient)
	if m.Dropped || !l.take(k.ctx) {
		return context.Cause(k.ctx)
	}
	defer l.give()
	return k.send(toClient, m)
}

// send writes a message to one side.
func (k *talk) send(toClient bool, m *flow.StreamMessage) error {
	if toClient {
		return k.w.write(m.Content)
	}
	_, err := k.up.conn.Write(m.Content)
	return err
}
