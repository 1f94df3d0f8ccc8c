package main

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"time"

	"github.com/google/martian/v3"
	mlog "github.com/google/martian/v3/log"
	"github.com/google/martian/v3/mitm"
)

// child runs one of the proxies that have no program of their own.
func child(kind string, args []string) error {
	switch kind {
	case "child-martian":
		return bareMartian(args[0])
	case "child-reverse":
		return reverseProxy(args[0], args[1])
	case "child-idle":
		return idleChild(args[0])
	case "child-memory":
		return memoryChild(args)
	}
	return fmt.Errorf("unknown child %s", kind)
}

type quiet struct{}

func (quiet) Infof(string, ...any)  {}
func (quiet) Debugf(string, ...any) {}
func (quiet) Errorf(string, ...any) {}

// bareMartian is martian as a careful user sets it up: an idle pool, no
// decompression, no log; TLS interception on. It records nothing.
func bareMartian(addr string) error {
	mlog.SetLogger(quiet{})
	ca, key, err := mitm.NewAuthority("bench", "bench", time.Hour)
	if err != nil {
		return err
	}
	mc, err := mitm.NewConfig(ca, key)
	if err != nil {
		return err
	}
	p := martian.NewProxy()
	p.SetMITM(mc)
	p.SetRoundTripper(&http.Transport{
		MaxIdleConnsPerHost: 256,
		DisableCompression:  true,
		TLSClientConfig:     &tls.Config{InsecureSkipVerify: true},
	})
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	return p.Serve(l)
}
