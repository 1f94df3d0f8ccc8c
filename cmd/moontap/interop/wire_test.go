package interop

import (
	"strings"
	"testing"
)

// A passage is what one side sends and what the other one sees of it, the same
// where that is "". $T is the target of the request.
type passage struct {
	name                    string
	send, sees, reply, gets string
}

var passages = []passage{
	{
		name: "order, case and repeats",
		send: "GET $T/a//b/../c?x=%2F&;y HTTP/1.1\r\nzulu: 1\r\nX-DUP: a\r\nhOsT: other.test\r\nX-dup: b\r\nAlpha: \r\nX-DUP: a\r\n\r\n",
		reply: "HTTP/1.1 299 Fine  by me\r\nzulu: 1\r\nset-cookie: a=1; Path=/\r\nX-a: b\r\nSet-Cookie: b=2\r\ndate: never\r\n" +
			"SET-COOKIE: a=1; Path=/\r\ncontent-LENGTH: 2\r\nServer: x\r\n\r\nok",
	},
	{
		name:  "odd bytes in values",
		send:  "GET $T/%zz?[]|{}^`\"<> HTTP/1.1\r\nHost: h\r\nA: b\t c  d\r\nB: \xff\xfe\r\nC: \"a, b\", c:d\r\n\r\n",
		reply: "HTTP/1.1 200 \r\nA: b\t c  d\r\nB: \xff\xfe\r\nContent-Length: 0\r\n\r\n",
	},
	{
		name:  "unknown method and content coding",
		send:  "fRoB $T/ HTTP/1.1\r\nHost: h\r\nAccept-Encoding: zzz\r\nContent-Length: 3\r\n\r\nabc",
		reply: "HTTP/1.1 200 OK\r\nContent-Encoding: zzz\r\nVary: *\r\nContent-Length: 3\r\n\r\ndef",
	},
	{
		name:  "chunks and trailers",
		send:  "POST $T/ HTTP/1.1\r\nHost: h\r\ntransfer-ENCODING: chunked\r\nTrailer: x-T\r\n\r\n3\r\nabc\r\n0\r\nx-T: 1\r\nX-t: 2\r\n\r\n",
		reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\nZ: 1\r\na: 2\r\nZ: 3\r\n\r\n",
	},
	{ // framing is written anew, and extensions are for the next hop only (RFC 9112, section 7.1.1)
		name:  "chunk extensions",
		send:  "POST $T/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: Chunked\r\n\r\n3;a=b\r\nabc\r\n0;last\r\n\r\n",
		sees:  "POST $T/ HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n0\r\n\r\n",
		reply: "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3;a=\"b\"\r\ndef\r\n0\r\n\r\n",
		gets:  "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\ndef\r\n0\r\n\r\n",
	},
	{ // a value has one space before it and none behind
		name:  "space around values",
		send:  "GET $T/ HTTP/1.1\r\nHost: h\r\nA:b\r\nB: \tc \r\nC:\r\n\r\n",
		sees:  "GET $T/ HTTP/1.1\r\nHost: h\r\nA: b\r\nB: c\r\nC: \r\n\r\n",
		reply: "HTTP/1.1 200 OK\r\nA:b\r\nB: \tc \r\nContent-Length: 0\r\n\r\n",
		gets:  "HTTP/1.1 200 OK\r\nA: b\r\nB: c\r\nContent-Length: 0\r\n\r\n",
	},
	{
		name:  "informational responses",
		send:  "GET $T/ HTTP/1.1\r\nHost: h\r\n\r\n",
		reply: "HTTP/1.1 103 Early\r\nlink: </a>\r\nLINK: </b>\r\n\r\nHTTP/1.1 204 None\r\nA: b\r\n\r\n",
	},
}

// TestByteByByte: both sides see what the other one sent, to the byte, and
// nothing that they did not send.
func TestByteByByte(t *testing.T) {
	o := newOrigin(t)
	x := startTap(t, o)
	for _, way := range []string{"proxy", "tunnel", "tls"} {
		for _, tt := range passages {
			t.Run(way+" "+tt.name, func(t *testing.T) {
				l, target := listen(t), ""
				var c *peer
				switch way {
				case "proxy":
					c, target = x.dial(t), "http://"+l.addr
				case "tunnel":
					c = x.tunnel(t, l.addr)
				case "tls":
					l = listenTLS(t, o)
					c = x.secure(t, l.addr)
				}
				sees, gets := tt.sees, tt.gets
				if sees == "" {
					sees = tt.send
				}
				if gets == "" {
					gets = tt.reply
				}
				c.send(strings.Replace(tt.send, "$T", target, 1))
				s := l.accept()
				s.expect(strings.Replace(sees, "$T", "", 1))
				s.send(tt.reply)
				c.expect(gets)
				// Nothing came behind either message: the connections go on.
				c.send("GET " + target + "/next HTTP/1.1\r\nHost: h\r\n\r\n")
				s.expect("GET /next HTTP/1.1\r\nHost: h\r\n\r\n")
				s.send("HTTP/1.1 204 No Content\r\n\r\n")
				c.expect("HTTP/1.1 204 No Content\r\n\r\n")
			})
		}
	}
}
