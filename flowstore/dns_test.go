package flowstore_test

import (
	"net/netip"
	"testing"
	"testing/synctest"

	"moontap/flowstore"
	"moontap/flowstore/flow"
)

func lookup(name string, op flow.DNSOpCode, answers ...flow.DNSRecord) *flow.Flow {
	q := &flow.DNSMessage{OpCode: op, Questions: []flow.DNSQuestion{{Name: name, Type: flow.DNSTypeA, Class: flow.DNSClassIN}}}
	f := &flow.Flow{ID: flow.NewID(), Kind: flow.KindDNS, DNS: &flow.DNS{Request: q}}
	if len(answers) > 0 {
		f.DNS.Response = q.Answer(answers...)
	}
	return f
}

func TestOrdersOfDNS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		addr := flow.NewDNSAddress("b", 1, netip.MustParseAddr("10.0.0.1"))
		s := flowstore.New()
		s.Add(lookup("b", 0, addr, addr), lookup("c", 4), lookup("a", 0, addr))
		v := flowstore.NewView(s)
		defer v.Close()
		for key, want := range map[string]string{"time": "bca", "url": "abc", "method": "cba", "size": "cab"} {
			v.SetOrder(key, false)
			settle()
			got := ""
			for _, f := range shown(v) {
				got += f.DNS.Request.Question().Name
			}
			if got != want {
				t.Errorf("by %s: %s; want %s", key, got, want)
			}
		}
	})
}

func TestDNSIsEditedAndCounted(t *testing.T) {
	s := flowstore.New()
	f := lookup("a", 0, flow.NewDNSAddress("a", 1, netip.MustParseAddr("10.0.0.1")))
	f.DNS.Request.Wire = make([]byte, 100)
	s.Publish(f)
	if got, want := s.Stats().Bytes, 100+f.DNS.Response.Size(); got != want {
		t.Errorf("%d bytes; want %d", got, want)
	}
	code := func() flow.DNSRCode { return s.Get(f.ID).DNS.Response.RCode }
	err := s.Edit("refuse", ids(f), func(f *flow.Flow) error {
		f.DNS.Response.RCode = flow.DNSRefused
		return nil
	})
	if err != nil || code() != flow.DNSRefused || f.DNS.Response.RCode != 0 {
		t.Errorf("edited: %v, %v, the owner has %v", code(), err, f.DNS.Response.RCode)
	}
	s.Undo()
	if code() != 0 {
		t.Errorf("undone: %v", code())
	}
	s.Redo()
	if code() != flow.DNSRefused {
		t.Errorf("done again: %v", code())
	}
	s.Revert(ids(f))
	if code() != 0 {
		t.Errorf("reverted: %v", code())
	}
}
