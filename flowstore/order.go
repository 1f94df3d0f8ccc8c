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
	{"method", "request method", compareMethod},
	{"url", "host, port and path", compareURL},
	{"size", "bytes of the response body, then of the request body", compareSize},
}

func compareMethod(a, b *flow.Flow) int {
	return cmp.Compare(requestOf(a).Method, requestOf(b).Method)
}

// compareURL builds no URLs: it is called millions of times in a row.
func compareURL(a, b *flow.Flow) int {
	x, y := requestOf(a), requestOf(b)
	return cmp.Or(
		cmp.Compare(x.PrettyHost(), y.PrettyHost()),
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
	if f.Response == nil {
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
