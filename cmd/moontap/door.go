package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"sync"
	"syscall"
)

// A door is an open port that engines can take over from each other without a
// client noticing: each has a lease, and at most one lease is in use at a time.
type door struct {
	net.Listener
	address string // what was asked for, such as 127.0.0.1:0
	knocks  chan knock
	once    sync.Once
	shut    chan struct{}
}

// A knock is what Accept returned.
type knock struct {
	conn net.Conn
	err  error
}

// openDoor opens the port at address. Closing the door ends its leases.
func openDoor(address string) (*door, error) {
	network := "tcp"
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Is4() {
		network = "tcp4" // or 0.0.0.0 would let IPv6 in as well
	}
	var lc net.ListenConfig
	l, err := lc.Listen(context.Background(), network, address)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w\nhint: -p chooses another port, -p 0 any free one", err)
	}
	if err != nil {
		return nil, err
	}
	d := &door{Listener: l, address: address, knocks: make(chan knock), shut: make(chan struct{})}
	go d.run()
	return d, nil
}

func (d *door) run() {
	for {
		conn, err := d.Listener.Accept()
		select {
		case d.knocks <- knock{conn, err}:
		case <-d.shut:
			if conn != nil {
				conn.Close()
			}
			return
		}
	}
}

// Close ends the leases and frees the port.
func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	return d.Listener.Close()
}

// replaceDoor opens address. When old, which may be nil and is not needed any
// more, has the port, it is closed first; that is reported also with an error.
func replaceDoor(old *door, address string) (d *door, closed bool, err error) {
	d, err = openDoor(address)
	if old == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return d, false, err
	}
	_ = old.Close()
	d, err = openDoor(address)
	return d, true, err
}

func samePort(a, b string) bool {
	_, p, _ := net.SplitHostPort(a)
	_, q, _ := net.SplitHostPort(b)
	return p == q
}

// lease returns a listener for the clients that come from now on.
func (d *door) lease() net.Listener { return &lease{door: d, gone: make(chan struct{})} }

// A lease is a door as one engine sees it. Closing it leaves the door open.
type lease struct {
	*door
	once sync.Once
	gone chan struct{}
}

// Accept is part of [net.Listener].
func (l *lease) Accept() (net.Conn, error) {
	select {
	case <-l.gone: // rather than take a client along
		return nil, net.ErrClosed
	default:
	}
	select {
	case k := <-l.knocks:
		return k.conn, k.err
	case <-l.gone:
	case <-l.shut:
	}
	return nil, net.ErrClosed
}

// Close is part of [net.Listener].
func (l *lease) Close() error {
	l.once.Do(func() { close(l.gone) })
	return nil
}
