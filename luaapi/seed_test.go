package luaapi_test

import (
	"encoding/pem"
	"strings"
	"testing"

	"moontap/flowstore/flow"
	"moontap/luaapi"
)

// seedMembers are the members that mitmproxy's scripts had from 0.8 to 0.10, by
// class; a colon stands before methods.
var seedMembers = map[string]string{
	"ScriptContext":       ":log :duplicate_flow :replay_request :kill_flow",
	"Flow":                "request response error intercepting :copy :modified :backup :revert :match :kill :intercept :accept_intercept :replace",
	"Request":             "client_conn httpversion host port scheme method path headers content timestamp timestamp_start timestamp_end tcp_setup_timestamp ssl_setup_timestamp ip close :reply :anticache :anticomp :constrain_encoding :is_replay :copy :get_form_urlencoded :set_form_urlencoded :get_path_components :set_path_components :get_query :set_query :get_url :set_url :get_cookies :get_header_size :replace :get_decoded_content :decode :encode :size :get_content_type :get_transmitted_size",
	"Response":            "request httpversion code msg headers content timestamp timestamp_start timestamp_end cert replay :refresh :is_replay :copy :replace :get_header_size :get_cookies :get_decoded_content :decode :encode :size :get_content_type :get_transmitted_size",
	"ClientConnection":    "address requestcount close error :copy",
	"ClientDisconnection": "client_conn",
	"Error":               "request msg timestamp :copy :replace",
	"Headers":             "lst :add :get :get_first :keys :items :copy :in_any :match_re :replace :has_key",
	"ODict":               "lst :add :get :get_first :keys :items :copy :in_any :match_re :replace :has_key",
	"CaselessODict":       "lst :add :get :get_first :keys :items :copy :in_any :match_re :replace :has_key",
	"SSLCert":             "issuer subject notbefore notafter has_expired serial keyinfo cn altnames :to_pem :digest",
}

// seedObjects are expressions for one object of each class.
var seedObjects = map[string]string{
	"ScriptContext": "ctx", "Flow": "flow", "Request": "flow.request", "Response": "flow.response",
	"Error": "flow.error", "Headers": "flow.request.headers", "ODict": "ODict{}", "CaselessODict": "ODictCaseless{}",
	"SSLCert": "SSLCert.from_pem(pem)",
}

// Every member of the founding document's classes is documented and there.
func TestSeedMembers(t *testing.T) {
	w := newWorld(t)
	f := newFlow()
	f.Error = &flow.Error{Msg: "oops", Time: birth}
	pem := string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: newCert(t).Raw}))
	for class, members := range seedMembers {
		for member := range strings.FieldsSeq(members) {
			name, isMethod := strings.CutPrefix(member, ":")
			if _, err := luaapi.Doc(class + "." + name); err != nil {
				t.Errorf("%s.%s: %v", class, name, err)
			}
			object := seedObjects[class]
			if object == "" {
				continue // its events are tested by TestEventsOfAConnection
			}
			check := "local v = o." + name
			if isMethod && member != ":log" {
				check += " assert(type(v) == 'function', type(v))"
			}
			src := "local pem = [[" + pem + "]] function response(ctx, flow) local o = " + object + " " + check + " end"
			if _, err := w.Pipe(t.Context(), writeScript(t, "seed.lua", src), f); err != nil {
				t.Errorf("%s.%s: %v", class, name, err)
			}
		}
	}
}
