package luaapi_test

import (
	"net/netip"
	"testing"

	"moontap/flowstore/flow"
)

func dnsFlow() *flow.Flow {
	return &flow.Flow{ID: flow.NewID(), Kind: flow.KindDNS, DNS: &flow.DNS{Request: &flow.DNSMessage{
		ID: 7, Questions: []flow.DNSQuestion{{Name: "a.example", Type: flow.DNSTypeA, Class: flow.DNSClassIN}},
		Flags: flow.DNSFlags{RecursionDesired: true}, Time: birth,
	}}}
}

func TestDNSRequestEvent(t *testing.T) {
	for _, c := range []struct{ body, want, err string }{
		{`q:answer("10.0.0.1", "::1", "10.0.0.2")`, "10.0.0.1, 10.0.0.2", ""},
		{`q:fail("nxdomain")`, "NXDOMAIN", ""},
		{`q:fail() assert(flow.response.response_code == "SERVFAIL" and not flow.response.query)`, "SERVFAIL", ""},
		{`assert(flow.type == "dns" and q.id == 7 and q.query and q.recursion_desired and q.op_code == "QUERY" and flow.response == nil)`, "", ""},
		{`assert(q.questions[1].name == "a.example" and q.questions[1].type == "A" and q.questions[1].class == "IN" and #q.answers == 0)`, "", ""},
		{`q:answer("10.0.0.1") local r = flow.response.answers[1] assert(r.data == "10.0.0.1" and r.ttl == 60 and r.name == "a.example")`, "10.0.0.1", ""},
		{`q:answer("nowhere")`, "", "IP address expected, got nowhere"},
		{`q:fail("WRONG")`, "", "response code such as NXDOMAIN expected, got WRONG"},
		{`flow.response = Response{ status = 200 }`, "", "made by flow.request:answer"},
		{`q:fail("REFUSED") flow.response:fail()`, "REFUSED", "only flow.request can be answered"},
		{`kept = q`, "", ""},
	} {
		w := newWorld(t)
		w.load(t, "function dns_request(ctx, flow) local q = flow.request "+c.body+" end")
		f := dnsFlow()
		must(t, w.hooks.DNSRequest(t.Context(), f))
		got := ""
		if f.DNS.Response != nil {
			got = f.DNS.Response.Summary()
		}
		if got != c.want {
			t.Errorf("%s: answer %q; want %q; log %q", c.body, got, c.want, w.log.all())
		}
		if c.err == "" != (len(w.log.all()) == 0) || c.err != "" && !w.log.has(c.err) {
			t.Errorf("%s: log %q; want %q", c.body, w.log.all(), c.err)
		}
	}
}

func TestDNSResponseAndErrorEvents(t *testing.T) {
	w := newWorld(t)
	w.load(t, `
		function dns_response(ctx, flow) ctx.log("response " .. tostring(flow.response)) flow.request:answer("10.0.0.9") end
		function dns_error(ctx, flow) flow.comment = flow.error.msg flow.request:fail() end`)
	f := dnsFlow()
	f.DNS.Response = f.DNS.Request.Answer(flow.NewDNSAddress("a.example", 5, netip.MustParseAddr("10.0.0.8")))
	must(t, w.hooks.DNSResponse(t.Context(), f))
	if got := f.DNS.Response.Summary(); got != "10.0.0.9" || !w.log.has("response 10.0.0.8") {
		t.Errorf("answer %q; log %q", got, w.log.all())
	}
	f = dnsFlow()
	f.Error = &flow.Error{Msg: "no server"}
	w.hooks.DNSError(t.Context(), f)
	if f.Note.Comment != "no server" || f.DNS.Response != nil {
		t.Errorf("comment %q, response %v; log %q", f.Note.Comment, f.DNS.Response, w.log.all())
	}
}
