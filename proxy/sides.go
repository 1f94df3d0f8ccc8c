package proxy

import (
	"time"

	"moontap/flowstore/flow"
	"moontap/proxy/http1"
)

// A downstream is the client's side of one exchange: a wire of HTTP/1, or a
// stream of HTTP/2. A replay has none.
type downstream interface {
	// from says where the requests of the connection go.
	from() *route
	// await says that x reads nothing for now and wants to be aborted when the
	// client leaves. Nil ends that.
	await(x *exchange)
	// reading is the clock of the request's body.
	reading() *stall
	// hurry makes a read of the request's body return.
	hurry()
	// discard reads the rest of the request, within reason, and reports whether
	// another one can follow.
	discard(x *exchange) bool

	// inform passes a 1xx response on. Its raw text is "" when it did not come by
	// HTTP/1.
	inform(h *http1.ResponseHead, raw string)
	// whole sends x's response in framing f and reports whether the connection
	// can go on.
	whole(x *exchange, f http1.Framing) (keep bool, err error)
	// live sends the beginning of x's response, whose body is live, with what
	// there is of that. The rest goes to the sink.
	live(x *exchange, f http1.Framing) (out sink, keep bool, err error)
	// errorPage sends a response of our own making.
	errorPage(x *exchange, status int, msg string) (keep bool, err error)
	// linger lets the client read what it was sent before it is cut off.
	linger()

	// cut ends it from any goroutine: the client gets nothing more.
	cut()
}

// A transfer is the server's side of one exchange: an HTTP/1 connection, which
// the exchange has for itself, or a stream of an HTTP/2 connection.
type transfer interface {
	// send sends x's request. A large or live body is sent by a goroutine, so that
	// a server that answers early is heard.
	send(x *exchange) error
	// receive reads the head of the response, and sets x.f.Response and x.down.
	receive(x *exchange) error
	// again reports whether the request can be sent once more after err.
	again(x *exchange, err error) bool
	// link is the connection.
	link() *upstream
	// release ends it, instead of close, when the response has been passed on.
	release(x *exchange)
	// patience is how long the rest of the upload is waited for once the response
	// has been passed on.
	patience() time.Duration
	// close gives it up.
	close()
	// cut makes what waits for the server return, from any goroutine. The context
	// of the exchange has ended before.
	cut()
}

// A source is a message body that can be read, see [http1.Body].
type source interface {
	Read(p []byte) (int, error)
	// TryRead returns [http1.ErrWouldBlock] when there is nothing yet.
	TryRead(p []byte) (int, error)
	// Done reports whether it was read to its end.
	Done() bool
	// Size is the length of the rest, or -1 when it is not known.
	Size() int64
	// Trailers are the fields after the body, once it is done.
	Trailers() flow.Header
}

// A sink takes a message body piece by piece.
type sink interface {
	data(p []byte) error
	end(trailer flow.Header) error
}

// nowhere is the sink of a replay and of a body that the client does not get.
type nowhere struct{}

func (nowhere) data([]byte) error     { return nil }
func (nowhere) end(flow.Header) error { return nil }
