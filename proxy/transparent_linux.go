package proxy

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"

	"golang.org/x/sys/unix"
)

// canRedirect is whether originalDst works.
const canRedirect = true

// soOriginalDst is the socket option SO_ORIGINAL_DST of IPv4 and that of IPv6,
// IP6T_SO_ORIGINAL_DST.
const soOriginalDst = 80

// originalDst returns where a client was going whose connection the kernel has
// redirected to us.
func originalDst(conn net.Conn) (netip.AddrPort, error) {
	sc, ok := conn.(syscall.Conn)
	local, ok2 := conn.LocalAddr().(*net.TCPAddr)
	if !ok || !ok2 {
		return netip.AddrPort{}, fmt.Errorf("a %T has no original destination", conn)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return netip.AddrPort{}, err
	}
	get := originalDst6
	if local.IP.To4() != nil {
		get = originalDst4
	}
	var dst netip.AddrPort
	var failed error
	if err := rc.Control(func(fd uintptr) { dst, failed = get(int(fd)) }); err != nil {
		return dst, err
	}
	if errors.Is(failed, unix.ENOENT) || errors.Is(failed, unix.ENOPROTOOPT) {
		failed = fmt.Errorf("the connection was not redirected: %w", failed)
	}
	return dst, failed
}

// The kernel writes a sockaddr_in or sockaddr_in6. The unix package has no getter
// for them; those for two structures that are as large or a little larger do.

func originalDst4(fd int) (netip.AddrPort, error) {
	v, err := unix.GetsockoptIPv6Mreq(fd, unix.SOL_IP, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	sa := v.Multiaddr // family, port, address
	return netip.AddrPortFrom(netip.AddrFrom4([4]byte(sa[4:8])), binary.BigEndian.Uint16(sa[2:4])), nil
}

func originalDst6(fd int) (netip.AddrPort, error) {
	v, err := unix.GetsockoptIPv6MTUInfo(fd, unix.SOL_IPV6, soOriginalDst)
	if err != nil {
		return netip.AddrPort{}, err
	}
	var port [2]byte
	binary.NativeEndian.PutUint16(port[:], v.Addr.Port)
	return netip.AddrPortFrom(netip.AddrFrom16(v.Addr.Addr), binary.BigEndian.Uint16(port[:])), nil
}
