package proxy

import "testing"

func TestAlertFind(t *testing.T) {
	tests := []struct {
		name string
		read string
		want alert
		bad  bool
	}{
		{"unknown ca", "\x15\x03\x03\x00\x02\x02\x30", alertUnknownCA, true},
		{"after a change of cipher", "\x14\x03\x03\x00\x01\x01\x15\x03\x03\x00\x02\x02\x2a", alertBadCertificate, true},
		{"another alert", "\x15\x03\x03\x00\x02\x02\x28", 40, false},
		{"a warning", "\x15\x03\x03\x00\x02\x01\x00", 0, false},
		{"data", "\x17\x03\x03\x00\x02\x02\x30", 0, false},
		{"short", "\x15\x03", 0, false},
	}
	for _, tt := range tests {
		var a alert
		a.find([]byte(tt.read))
		if a != tt.want || a.distrust() != tt.bad {
			t.Errorf("%s: alert %d, distrust %v; want %d, %v", tt.name, a, a.distrust(), tt.want, tt.bad)
		}
	}
}
