//go:build !linux

package proxy

import (
	"errors"
	"net"
	"net/netip"
)

// canRedirect is whether originalDst works.
const canRedirect = false

func originalDst(net.Conn) (netip.AddrPort, error) { return netip.AddrPort{}, errors.ErrUnsupported }
