package flow_test

import (
	"slices"
	"testing"
	"time"

	"moontap/flowstore/flow"
)

func TestRefresh(t *testing.T) {
	recorded := time.Date(2024, 5, 1, 12, 0, 0, 0, time.UTC)
	header := flow.Header{
		{Name: "date", Value: "Wed, 01 May 2024 12:00:00 GMT"},
		{Name: "Expires", Value: "0"},
		{Name: "Last-Modified", Value: "Wed, 01 May 2024 11:00:00 GMT"},
		{Name: "Set-Cookie", Value: "a=1; Path=/; expires=Wed, 01-May-2024 13:00:00 GMT"},
		{Name: "Set-Cookie", Value: "b=2; Expires=never; Secure"},
		{Name: "Set-Cookie", Value: "c=3"},
	}
	r := &flow.Response{Message: flow.Message{Header: header, Start: recorded}}
	old := slices.Clone(header)
	r.Refresh(recorded.Add(24 * time.Hour))
	want := flow.Header{
		{Name: "date", Value: "Thu, 02 May 2024 12:00:00 GMT"},
		{Name: "Expires", Value: "0"},
		{Name: "Last-Modified", Value: "Thu, 02 May 2024 11:00:00 GMT"},
		{Name: "Set-Cookie", Value: "a=1; Path=/; expires=Thu, 02 May 2024 13:00:00 GMT"},
		{Name: "Set-Cookie", Value: "b=2; Secure"},
		{Name: "Set-Cookie", Value: "c=3"},
	}
	if !slices.Equal(r.Header, want) {
		t.Errorf("header = %q; want %q", r.Header, want)
	}
	if !slices.Equal(header, old) {
		t.Error("the header that was recorded has changed")
	}
}

func TestRefreshOfResponseWithoutTime(t *testing.T) {
	h := flow.Header{{Name: "Date", Value: "Wed, 01 May 2024 12:00:00 GMT"}}
	r := &flow.Response{Message: flow.Message{Header: h}}
	r.Refresh(time.Now())
	if !slices.Equal(r.Header, h) {
		t.Errorf("header = %q; want it as it was", r.Header)
	}
}
