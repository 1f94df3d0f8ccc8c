package flowstore

import (
	"cmp"
	"slices"

	"moontap/flowstore/flow"
)

// An Order is a key by which a View can be sorted.
type Order struct {
	Key  string
	Help string
	// compare is nil for the order of arrival, which also decides between flows
	// that are otherwise equal.
	compare func(a, b *flow.Flow) int
}

// Orders returns the table of orders. The first one is that of a new View.
func Orders() []Order { return slices.Clone(orders) }

var orders = []Order{
	{"time", "order of arrival", nil},
	{"method", "request method, or op code of DNS", compareMethod},
	{"url", "host, port and path, or name that was asked for", compareURL},
	{"size", "bytes of the response body, then of the request body", compareSize},
}

func compareMethod(a, b *flow.Flow) int {
	return cmp.Compare(methodOf(a), methodOf(b))
}

func methodOf(f *flow.Flow) string {
	if f.DNS != nil {
		return f.DNS.Request.OpCode.String()
	}
	return requestOf(f).Method
}

func hostOf(f *flow.Flow) string {
	if f.DNS != nil {
		return f.DNS.Request.Question().Name
	}
	return requestOf(f).PrettyHost()
}

// compareURL builds no URLs: it is called millions of times in a row.
func compareURL(a, b *flow.Flow) int {
	x, y := requestOf(a), requestOf(b)
	return cmp.Or(
		cmp.Compare(hostOf(a), hostOf(b)),
		cmp.Compare(x.Port, y.Port),
		cmp.Compare(x.Path, y.Path),
	)
}

func compareSize(a, b *flow.Flow) int {
	return cmp.Or(
		cmp.Compare(responseSize(a), responseSize(b)),
		cmp.Compare(requestOf(a).BodySize, requestOf(b).BodySize),
	)
}

func responseSize(f *flow.Flow) int64 {
	switch {
	case f.DNS != nil:
		return f.DNS.Response.Size()
	case f.Response == nil:
		return 0
	}
	return f.Response.BodySize
}

// noRequest stands for the request of a flow that has none.
var noRequest flow.Request

func requestOf(f *flow.Flow) *flow.Request {
	if f.Request == nil {
		return &noRequest
	}
	return f.Request
}
