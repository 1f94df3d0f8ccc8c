package http1

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"

	"moontap/flowstore/flow"
)

// This file reads what the rest of the package refuses, for those who want to see
// what others make of it: it finds some meaning and keeps the text.

// ReadLooseHead is [ReadHead] for heads whose lines may end with a bare LF.
func ReadLooseHead(br *bufio.Reader, limit int) (string, error) {
	for {
		first, err := br.Peek(1)
		if err != nil {
			return "", err
		}
		if first[0] != '\r' && first[0] != '\n' {
			break
		}
		_, _ = br.Discard(1)
	}
	return readLongHead(br, limit)
}

// ParseLooseRequest is [ParseRequest] for any head that has a request line. Folded
// lines stay part of the value before them, names may have white space around
// them, and lines without a colon are names without a value.
func ParseLooseRequest(raw string) (RequestHead, error) {
	var h RequestHead
	line, rest := cutLine(raw)
	words := strings.Fields(line)
	if len(words) < 2 {
		return h, syntaxErrorf("malformed request line")
	}
	h.Method, h.Target, h.Version = words[0], words[1], "HTTP/1.1"
	if words[len(words)-1] == "HTTP/1.0" {
		h.Version = "HTTP/1.0"
	}
	h.Header = parseLooseFields(rest)
	return h, nil
}

// ParseLooseResponse is ParseLooseRequest for responses.
func ParseLooseResponse(raw string) (ResponseHead, error) {
	line, rest := cutLine(raw)
	h, err := ParseResponse(line + "\r\n\r\n")
	h.Header = parseLooseFields(rest)
	return h, err
}

// cutLine takes the first line off, without its end.
func cutLine(text string) (line, rest string) {
	line, rest, _ = strings.Cut(text, "\n")
	return strings.TrimSuffix(line, "\r"), rest
}

func parseLooseFields(text string) flow.Header {
	var h flow.Header
	for text != "" {
		var line string
		line, text = cutLine(text)
		switch {
		case line == "":
		case (line[0] == ' ' || line[0] == '\t') && len(h) > 0:
			h[len(h)-1].Value += "\r\n " + strings.TrimLeft(line, " \t")
		default:
			name, value, _ := strings.Cut(line, ":")
			h = append(h, flow.Field{Name: name, Value: strings.Trim(value, " \t")})
		}
	}
	return h
}

// LooseFraming tells how the body of a message with that header most likely is
// delimited. Transfer-Encoding goes before Content-Length, and of several lengths
// the first one counts (RFC 9112, section 6.3).
func LooseFraming(h flow.Header) Framing {
	for i := range h {
		if strings.EqualFold(strings.TrimSpace(h[i].Name), "Transfer-Encoding") && strings.Contains(strings.ToLower(h[i].Value), "chunked") {
			return Framing{Kind: Chunked}
		}
	}
	for i := range h {
		if !strings.EqualFold(strings.TrimSpace(h[i].Name), "Content-Length") {
			continue
		}
		if n, err := looseNumber(h[i].Value, 10); err == nil && n > 0 {
			return Framing{Kind: Length, Size: n}
		} else if err == nil {
			return Framing{}
		}
	}
	return Framing{Kind: UntilClose}
}

// looseNumber reads digits and skips what is around them.
func looseNumber(text string, base int64) (n int64, err error) {
	text = strings.TrimLeft(text, " \t+")
	if base == 16 {
		text = strings.TrimPrefix(strings.TrimPrefix(text, "0x"), "0X")
	}
	i := 0
	for ; i < len(text); i++ {
		d := int64(hexDigit(text[i]))
		if d < 0 || d >= base {
			break
		}
		if n > 1<<56 {
			return 0, errors.New("number is too large")
		}
		n = n*base + d
	}
	if i == 0 {
		return 0, errors.New("no number")
	}
	return n, nil
}

// ResetLoose is Reset for a body whose chunks may have bare LFs and odd sizes.
func (b *Body) ResetLoose(br *bufio.Reader, f Framing, limit int) {
	b.Reset(br, f, limit)
	b.loose = true
}

// looseLine takes the next line from the buffer, without its end.
func (b *Body) looseLine() (line []byte, err error) {
	buf, _ := b.br.Peek(b.br.Buffered())
	i := bytes.IndexByte(buf[:min(len(buf), maxChunkLine)], '\n')
	switch {
	case i < 0 && len(buf) > maxChunkLine:
		return nil, b.sticky(syntaxErrorf("chunk line is too long"))
	case i < 0:
		return nil, ErrWouldBlock
	}
	line = buf[:i]
	_, _ = b.br.Discard(i + 1)
	if n := len(line); n > 0 && line[n-1] == '\r' {
		line = line[:n-1]
	}
	return line, nil
}

// looseStep is step for loose bodies.
func (b *Body) looseStep() error {
	line, err := b.looseLine()
	if err != nil {
		return err
	}
	switch {
	case b.state == inTrailer && len(line) == 0:
		b.Trailer = parseLooseFields(string(b.trailer))
		return b.sticky(io.EOF)
	case b.state == inTrailer:
		b.trailer = append(append(b.trailer, line...), '\n')
		if len(b.trailer) > b.limit {
			return b.sticky(ErrHeadTooLarge)
		}
	case b.state == afterData && len(line) > 0:
		return b.sticky(syntaxErrorf("chunk is longer than its size"))
	case b.state == afterData:
		b.state = atSize
	case b.state == atSize:
		if b.left, err = looseNumber(string(line), 16); err != nil {
			return b.sticky(syntaxErrorf("invalid chunk size %.40q", line))
		}
		if b.state = inData; b.left == 0 {
			b.state = inTrailer
		}
	}
	return nil
}

func (b *Body) sticky(err error) error {
	b.err = err
	return err
}
