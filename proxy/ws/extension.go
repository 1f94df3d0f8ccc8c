package ws

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// Params are the parameters of permessage-deflate that a server has accepted (RFC
// 7692, section 7.1).
type Params struct {
	ServerNoContext, ClientNoContext bool // each message is compressed by itself
	ServerBits, ClientBits           int  // base-2 logarithm of the window, 8 to 15
}

// Bits returns the size of the window of one direction, and NoContext whether its
// messages are compressed by themselves.
func (p *Params) Bits(client bool) int {
	if client {
		return p.ClientBits
	}
	return p.ServerBits
}

// NoContext reports whether the messages of one direction are each compressed by
// themselves.
func (p *Params) NoContext(client bool) bool {
	if client {
		return p.ClientNoContext
	}
	return p.ServerNoContext
}

// ParseExtensions reads the Sec-WebSocket-Extensions fields of a response, joined
// with commas (RFC 6455, section 9.1). deflate is nil when permessage-deflate was
// not accepted, other whether there is any other extension.
func ParseExtensions(value string) (deflate *Params, other bool, err error) {
	for ext := range split(value, ',') {
		name, params, _ := strings.Cut(ext, ";")
		switch name = strings.TrimSpace(name); {
		case name == "":
		case !strings.EqualFold(name, "permessage-deflate"):
			other = true
		case deflate != nil:
			return nil, other, errors.New("permessage-deflate accepted twice")
		default:
			if deflate, err = parseDeflate(params); err != nil {
				return nil, other, fmt.Errorf("permessage-deflate: %w", err)
			}
		}
	}
	return deflate, other, nil
}

func parseDeflate(text string) (*Params, error) {
	p := &Params{ServerBits: 15, ClientBits: 15}
	seen := map[string]bool{}
	for param := range split(text, ';') {
		name, value, _ := strings.Cut(strings.TrimSpace(param), "=")
		name = strings.ToLower(strings.TrimSpace(name))
		value = strings.Trim(strings.TrimSpace(value), `"`)
		if name == "" {
			continue
		}
		if seen[name] {
			return nil, fmt.Errorf("parameter %s given twice", name)
		}
		seen[name] = true
		if err := p.set(name, value); err != nil {
			return nil, err
		}
	}
	return p, nil
}

func (p *Params) set(name, value string) error {
	switch name {
	case "server_no_context_takeover":
		p.ServerNoContext = true
	case "client_no_context_takeover":
		p.ClientNoContext = true
	case "server_max_window_bits":
		return windowBits(&p.ServerBits, name, value)
	case "client_max_window_bits":
		return windowBits(&p.ClientBits, name, value)
	default:
		return fmt.Errorf("unknown parameter %q", name)
	}
	return nil
}

func windowBits(dst *int, name, value string) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < 8 || n > 15 || len(value) > 2 {
		return fmt.Errorf("%s is %q, not a number from 8 to 15", name, value)
	}
	*dst = n
	return nil
}

// split splits s at sep, but not inside double quotes.
func split(s string, sep byte) func(yield func(string) bool) {
	return func(yield func(string) bool) {
		quoted, start := false, 0
		for i := range len(s) {
			switch {
			case s[i] == '"':
				quoted = !quoted
			case s[i] == sep && !quoted:
				if !yield(s[start:i]) {
					return
				}
				start = i + 1
			}
		}
		yield(s[start:])
	}
}
