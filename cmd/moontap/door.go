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

// moveDoor opens address in place of old, which may be nil. The old door stays
// open unless both want the same port; when the new one cannot be opened the old
// one, or another in its place, is returned with the error.
func moveDoor(old *door, address string) (*door, error) {
	d, err := openDoor(address)
	if err == nil {
		return d, nil
	}
	if old == nil || !errors.Is(err, syscall.EADDRINUSE) || !samePort(old.Addr().String(), address) {
		return old, err
	}
	before, place := old.address, old.Addr().String()
	_ = old.Close()
	if d, err = openDoor(address); err == nil {
		return d, nil
	}
	back, backErr := openDoor(place)
	if backErr != nil {
		return nil, errors.Join(err, backErr)
	}
	back.address = before
	return back, err
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
