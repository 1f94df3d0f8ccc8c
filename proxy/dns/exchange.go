package dns

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"time"

	"moontap/flowstore/flow"
)

// MaxMessage is the size of the largest message, in bytes.
const MaxMessage = 65535

// Exchange sends a question over conn, which is connected to a server by UDP or,
// with stream set, by TCP, and returns the answer byte for byte but for its ID,
// which is that of the question. On the wire the question has a random ID. What
// arrives with another ID or to another question is not the answer (RFC 5452,
// section 9.1); over UDP it is passed over. It does not close conn.
func Exchange(ctx context.Context, conn net.Conn, stream bool, question []byte) (*flow.DNSMessage, error) {
	asked, err := flow.ParseDNS(question)
	if err != nil {
		return nil, err
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	sent := slices.Clone(question)
	_, _ = rand.Read(sent[:2]) // never fails since Go 1.24
	if stream {
		_, err = conn.Write(Frame(sent))
	} else {
		_, err = conn.Write(sent)
	}
	if err != nil {
		return nil, cause(ctx, err)
	}
	return receive(ctx, conn, stream, asked, binary.BigEndian.Uint16(sent))
}

// minBuffer is what is read of a datagram at least, in bytes, for servers that
// send more than they were told the client takes.
const minBuffer = 4096

// receive returns the first message that answers the question asked.
func receive(ctx context.Context, conn net.Conn, stream bool, asked *flow.DNSMessage, id uint16) (*flow.DNSMessage, error) {
	var odd error
	buf := make([]byte, max(minBuffer, asked.UDPSize()))
	for {
		var b []byte
		var err error
		if stream {
			b, err = ReadFrame(conn)
		} else {
			var n int
			n, err = conn.Read(buf)
			b = slices.Clone(buf[:n])
		}
		switch err = cause(ctx, err); {
		case err != nil && odd != nil:
			return nil, fmt.Errorf("%w, and before that: %w", err, odd)
		case err != nil:
			return nil, err
		}
		m, err := match(b, asked, id)
		switch {
		case err == nil:
			return m, nil
		case stream:
			return nil, err
		}
		odd = err
	}
}

// match returns b as the answer to the question asked, under its ID.
func match(b []byte, asked *flow.DNSMessage, id uint16) (*flow.DNSMessage, error) {
	if len(b) < 2 || binary.BigEndian.Uint16(b) != id {
		return nil, errors.New("an answer has the wrong ID")
	}
	binary.BigEndian.PutUint16(b, asked.ID)
	m, err := flow.ParseDNS(b)
	switch {
	case err != nil:
		return nil, fmt.Errorf("the answer is malformed: %w", err)
	case !m.Flags.Response || m.OpCode != asked.OpCode:
		return nil, errors.New("a message is no answer")
	case len(m.Questions) == 0 && m.RCode != flow.DNSNoError: // it was not understood
	case !slices.EqualFunc(m.Questions, asked.Questions, sameQuestion):
		return nil, errors.New("an answer is to another question")
	}
	return m, nil
}

func sameQuestion(a, b flow.DNSQuestion) bool {
	return a.Type == b.Type && a.Class == b.Class && strings.EqualFold(a.Name, b.Name)
}

// cause replaces err by what ended ctx, if that is why there is an error.
func cause(ctx context.Context, err error) error {
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// Frame returns a message with its length before it, as TCP has it (RFC 1035,
// section 4.2.2). It must not be longer than MaxMessage.
func Frame(msg []byte) []byte {
	b := make([]byte, 2, 2+len(msg))
	binary.BigEndian.PutUint16(b, uint16(len(msg)))
	return append(b, msg...)
}

// ReadFrame reads a message with its length before it. The error is [io.EOF] when
// there is nothing to read.
func ReadFrame(r io.Reader) ([]byte, error) {
	var size [2]byte
	if _, err := io.ReadFull(r, size[:]); err != nil {
		return nil, err
	}
	msg := make([]byte, binary.BigEndian.Uint16(size[:]))
	if _, err := io.ReadFull(r, msg); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	}
	return msg, nil
}

// Truncate returns an answer without its records, marked as truncated, so that
// who gets it asks again over TCP (RFC 2181, section 9).
func Truncate(m *flow.DNSMessage) ([]byte, error) {
	t := *m
	t.Flags.Truncated = true
	t.Answers, t.Authorities, t.Additionals = nil, nil, nil
	for i := range m.Additionals {
		if m.Additionals[i].Type == flow.DNSTypeOPT {
			t.Additionals = m.Additionals[i : i+1 : i+1]
		}
	}
	return t.Pack()
}
