package module

import (
	"context"
	"errors"
	"fmt"
	"net"
	"slices"
	"strconv"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

func dnsModule() Module {
	return Module{
		Name: "dns",
		Doc:  "The domain name system, as the machine is set up to ask it.",
		Funcs: []Func{
			{"resolve", "(name, [type]) -> list?, error?", "Looks a name up and returns a list of strings: addresses, or for a type A, AAAA, CNAME, MX (\"10 host\"), NS, TXT, SRV (\"priority weight port host\") or PTR (of an address) what it has. Other handlers may run meanwhile.", `dns.resolve("127.0.0.1") --> {"127.0.0.1"}`, dnsResolve},
		},
	}
}

// lookups is the table of types.
var lookups = map[string]func(ctx context.Context, r *net.Resolver, name string) ([]string, error){
	"":     lookupIP("ip"),
	"A":    lookupIP("ip4"),
	"AAAA": lookupIP("ip6"),
	"CNAME": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		s, err := r.LookupCNAME(ctx, name)
		return texts([]string{s}, noDot), err
	},
	"MX": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		list, err := r.LookupMX(ctx, name)
		return texts(list, func(x *net.MX) string { return fmt.Sprintf("%d %s", x.Pref, noDot(x.Host)) }), err
	},
	"NS": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		list, err := r.LookupNS(ctx, name)
		return texts(list, func(x *net.NS) string { return noDot(x.Host) }), err
	},
	"TXT": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		return r.LookupTXT(ctx, name)
	},
	"SRV": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		_, list, err := r.LookupSRV(ctx, "", "", name)
		return texts(list, func(x *net.SRV) string {
			return strings.Join([]string{strconv.Itoa(int(x.Priority)), strconv.Itoa(int(x.Weight)), strconv.Itoa(int(x.Port)), noDot(x.Target)}, " ")
		}), err
	},
	"PTR": func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		list, err := r.LookupAddr(ctx, name)
		return texts(list, noDot), err
	},
}

func lookupIP(network string) func(context.Context, *net.Resolver, string) ([]string, error) {
	return func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		list, err := r.LookupIP(ctx, network, name)
		return texts(list, net.IP.String), err
	}
}

func noDot(name string) string { return strings.TrimSuffix(name, ".") }

func texts[T any](list []T, fn func(T) string) []string {
	out := make([]string, len(list))
	for i, x := range list {
		out[i] = fn(x)
	}
	return out
}

func dnsResolve(L *lua.LState, h *host) int {
	name, kind := L.CheckString(1), strings.ToUpper(L.OptString(2, ""))
	lookup := lookups[kind]
	if lookup == nil {
		L.ArgError(2, "no such type; there are A, AAAA, CNAME, MX, NS, PTR, SRV, TXT")
	}
	h.allow(L, "net")
	resolver := h.cfg.Resolver
	if resolver == nil {
		resolver = net.DefaultResolver
	}
	var found []string
	var err error
	h.rt.Block(L, func(ctx context.Context) {
		ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
		defer cancel()
		found, err = lookup(ctx, resolver, name)
	})
	if failed, ok := errors.AsType[*net.DNSError](err); ok {
		err = errors.New(failed.Name + ": " + failed.Err)
	}
	if err != nil {
		return fail(L, err)
	}
	return push(L, stringList(L, slices.Compact(found)))
}
