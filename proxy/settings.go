package proxy

import (
	"crypto/x509"
	"net/url"
	"time"

	"moontap/proxy/auth"
)

// Settings are what can be changed while the engine runs, see [Engine.Apply].
// The zero value is a usable default. An exchange uses one state of them from
// its beginning to its end.
type Settings struct {
	// Insecure accepts any certificate from servers and upstream proxies.
	Insecure bool

	// TrustedCA are the authorities that servers' certificates are checked
	// against. Nil means those of the system.
	TrustedCA *x509.CertPool

	// KeepHostHeader passes the client's Host field on in reverse mode, instead
	// of the name of the server.
	KeepHostHeader bool

	// ProxyAuth checks the user and password that clients must send; nil lets
	// everybody in.
	ProxyAuth auth.Validator

	// UpstreamAuth are credentials for the upstream proxy, unless the mode has
	// some, and for the server behind a reverse proxy; nil for none.
	UpstreamAuth *url.Userinfo

	// BlockGlobal refuses clients with public addresses, BlockPrivate those with
	// private ones. Neither refuses this machine.
	BlockGlobal, BlockPrivate bool

	// BodySizeLimit, in bytes, refuses larger bodies: a request gets 413, a
	// response becomes 502, or is cut off when it has begun. Zero and negative
	// mean no limit.
	BodySizeLimit int64

	// StreamLargeBodies, in bytes, is the size above which a body is never held
	// back for hooks. Zero means 16 MiB, a negative value no limit.
	StreamLargeBodies int64

	// RecordLimit, in bytes, is how much of a body is kept in a flow. A longer
	// one is marked Missing and counted to its end. Zero means 64 MiB, a
	// negative value no limit.
	// It is also how much is kept of all messages of a WebSocket or raw stream;
	// what does not fit goes from the beginning, and is counted.
	RecordLimit int64

	// StreamedLimit, in bytes, is how much is kept of a body that is passed on
	// while it comes, if that is less than RecordLimit. Zero means 16 MiB, a
	// negative value no limit of its own.
	StreamedLimit int64

	// RecordMessages is how many messages of a WebSocket or raw stream are kept:
	// the newest. Zero means 10,000, a negative value no limit.
	RecordMessages int

	// Loose passes HTTP/1 messages on that are ambiguous or malformed, as well as
	// that is possible, instead of refusing them.
	Loose bool

	// DropStreamed keeps nothing of bodies that were not held back.
	DropStreamed bool

	// NoHTTP2 neither offers nor takes HTTP/2, on both sides.
	NoHTTP2 bool

	// PingKeepalive is how long an HTTP/2 connection may be silent before its peer
	// is asked for a sign of life. Zero means never.
	PingKeepalive time.Duration

	DNS    DNSSettings
	Hosts  Hosts
	TLS    TLSSettings
	Limits Limits

	server *serverConfigs // what follows from TLS
}

// DNSSettings say where the answers of the mode dns come from.
type DNSSettings struct {
	// NoHosts does not look into the hosts file.
	NoHosts bool

	// NameServers are asked in this order until one answers, each a host:port.
	// Nil means those of the system.
	NameServers []string

	// HostsFile and ServersFile are the paths of the files of the system. ""
	// means /etc/hosts and /etc/resolv.conf.
	HostsFile, ServersFile string
}

// Limits bound what peers can make the engine wait for and hold. A zero field
// means its default, a negative one no limit.
type Limits struct {
	// MaxHead is the size of a message head in bytes. Default 1 MiB.
	MaxHead int

	// HeadTimeout is how long a client may take from the first byte of a request
	// head to its end. Default 60 s.
	HeadTimeout time.Duration

	// IdleTimeout closes client connections that wait for a request, stall in
	// the middle of one, or do not take what is written to them, for so long;
	// and unused server connections. Default 10 min.
	IdleTimeout time.Duration

	// DialTimeout is for the connection to a server, or to an upstream proxy
	// including its answer to CONNECT. Default 30 s.
	DialTimeout time.Duration

	// HandshakeTimeout is for each TLS handshake. Default 30 s.
	HandshakeTimeout time.Duration

	// DNSTimeout is how long name servers may take to answer a question, all
	// together. Default 5 s.
	DNSTimeout time.Duration

	// MaxQuestions is how many DNS questions may be in progress, held ones too.
	// What comes on top is dropped. Default 1024.
	MaxQuestions int
}

const (
	defaultHold    = 16 << 20
	defaultRecord  = 64 << 20
	defaultStream  = 16 << 20
	defaultCount   = 10_000
	defaultMaxHead = 1 << 20
	defaultAsked   = 1024
	unlimited      = 1<<63 - 1
	forever        = 100 * 365 * 24 * time.Hour // can be added to any time
)

// withDefaults returns s with every zero replaced by its default, and every
// "no limit" by a number that is never reached.
func (s Settings) withDefaults() Settings {
	s.server = newServerConfigs(&s.TLS)
	limit(&s.StreamLargeBodies, defaultHold, unlimited)
	limit(&s.RecordLimit, defaultRecord, unlimited)
	limit(&s.StreamedLimit, defaultStream, unlimited)
	limit(&s.RecordMessages, defaultCount, 1<<31-1)
	limit(&s.BodySizeLimit, unlimited, unlimited)
	l := &s.Limits
	limit(&l.MaxHead, defaultMaxHead, 1<<30)
	limit(&l.HeadTimeout, time.Minute, forever)
	limit(&l.IdleTimeout, 10*time.Minute, forever)
	limit(&l.DialTimeout, 30*time.Second, forever)
	limit(&l.HandshakeTimeout, 30*time.Second, forever)
	limit(&l.DNSTimeout, 5*time.Second, forever)
	limit(&l.MaxQuestions, defaultAsked, 1<<30)
	return s
}

func limit[T ~int | ~int64](v *T, zero, negative T) {
	switch {
	case *v == 0:
		*v = zero
	case *v < 0:
		*v = negative
	}
}
