package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/netip"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"
)

// A door is an open port that engines can take over from each other without a
// client noticing: each has a lease, and at most one lease is in use at a time.
type door struct {
	net.Listener
	packets net.PacketConn // the same port for UDP; nil when only TCP is wanted
	address string         // what was asked for, such as 127.0.0.1:0
	knocks  chan knock
	mail    chan datagram
	once    sync.Once
	shut    chan struct{}
}

// A knock is what Accept returned.
type knock struct {
	conn net.Conn
	err  error
}

// A datagram is what ReadFrom returned.
type datagram struct {
	data []byte
	from net.Addr
	err  error
}

// openDoor opens the port at address, with udp for both protocols. Closing the
// door ends its leases.
func openDoor(address string, udp bool) (*door, error) {
	l, packets, err := listen(address, udp)
	if errors.Is(err, syscall.EADDRINUSE) || errors.Is(err, fs.ErrPermission) {
		err = fmt.Errorf("%w\nhint: -p chooses another port, -p 0 any free one", err)
	}
	if err != nil {
		return nil, err
	}
	d := &door{
		Listener: l, packets: packets, address: address,
		knocks: make(chan knock), mail: make(chan datagram), shut: make(chan struct{}),
	}
	go d.run()
	if packets != nil {
		go d.runPackets()
	}
	return d, nil
}

// listenTries is how often a port is looked for that is free for TCP and UDP.
const listenTries = 16

func listen(address string, udp bool) (net.Listener, net.PacketConn, error) {
	suffix := ""
	if ap, err := netip.ParseAddrPort(address); err == nil && ap.Addr().Is4() {
		suffix = "4" // or 0.0.0.0 would let IPv6 in as well
	}
	var lc net.ListenConfig
	for try := 1; ; try++ {
		l, err := lc.Listen(context.Background(), "tcp"+suffix, address)
		if err != nil || !udp {
			return l, nil, err
		}
		packets, err := lc.ListenPacket(context.Background(), "udp"+suffix, l.Addr().String())
		if err == nil {
			return l, packets, nil
		}
		l.Close()
		if try == listenTries || !samePort(address, ":0") {
			return nil, nil, err
		}
	}
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

func (d *door) runPackets() {
	buf := make([]byte, 64<<10) // no datagram is longer
	for {
		n, from, err := d.packets.ReadFrom(buf)
		select {
		case d.mail <- datagram{slices.Clone(buf[:n]), from, err}:
		case <-d.shut:
			return
		}
	}
}

// Close ends the leases and frees the port.
func (d *door) Close() error {
	d.once.Do(func() { close(d.shut) })
	if d.packets != nil {
		_ = d.packets.Close()
	}
	return d.Listener.Close()
}

// replaceDoor opens address. When old, which may be nil and is not needed any
// more, has the port, it is closed first; that is reported also with an error.
func replaceDoor(old *door, address string, udp bool) (d *door, closed bool, err error) {
	d, err = openDoor(address, udp)
	if old == nil || !errors.Is(err, syscall.EADDRINUSE) {
		return d, false, err
	}
	_ = old.Close()
	d, err = openDoor(address, udp)
	return d, true, err
}

func samePort(a, b string) bool {
	_, p, _ := net.SplitHostPort(a)
	_, q, _ := net.SplitHostPort(b)
	return p == q
}

// lease returns a listener for the clients that come from now on.
func (d *door) lease() *lease { return &lease{door: d, gone: make(chan struct{})} }

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

// A packetLease is the UDP side of a lease.
type packetLease struct {
	net.PacketConn // of the door
	lease          *lease
	once           sync.Once
	stopped        chan struct{} // closed when reading has ended
}

func newPacketLease(l *lease) *packetLease {
	return &packetLease{PacketConn: l.packets, lease: l, stopped: make(chan struct{})}
}

// ReadFrom is part of [net.PacketConn].
func (p *packetLease) ReadFrom(b []byte) (int, net.Addr, error) {
	select {
	case <-p.lease.gone: // rather than take a datagram along
		return 0, nil, net.ErrClosed
	case <-p.stopped:
		return 0, nil, os.ErrDeadlineExceeded
	default:
	}
	select {
	case m := <-p.lease.mail:
		return copy(b, m.data), m.from, m.err
	case <-p.stopped:
		return 0, nil, os.ErrDeadlineExceeded
	case <-p.lease.gone:
	case <-p.lease.shut:
	}
	return 0, nil, net.ErrClosed
}

// Close is part of [net.PacketConn].
func (p *packetLease) Close() error { return p.lease.Close() }

// SetDeadline is part of [net.PacketConn].
func (p *packetLease) SetDeadline(time.Time) error { return os.ErrNoDeadline }

// SetReadDeadline ends reading when t is over; other deadlines it does not know.
func (p *packetLease) SetReadDeadline(t time.Time) error {
	if t.IsZero() || t.After(time.Now()) {
		return os.ErrNoDeadline
	}
	p.once.Do(func() { close(p.stopped) })
	return nil
}
