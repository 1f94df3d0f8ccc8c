package luaapi

import (
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/md5" //nolint:gosec // fingerprints that people compare
	"crypto/rsa"
	"crypto/sha1" //nolint:gosec // as above
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"strings"
	"time"

	lua "github.com/yuin/gopher-lua"

	"moontap/flowstore/flow"
)

// A certObj is a certificate.
type certObj struct {
	in   *instance
	cert *x509.Certificate
}

// certValue is a certificate as a Lua value, nil for none.
func (in *instance) certValue(c *x509.Certificate) lua.LValue {
	if c == nil {
		return lua.LNil
	}
	return &lua.LUserData{Value: &certObj{in, c}, Metatable: in.meta[classSSLCert]}
}

func (in *instance) firstCert(t *flow.TLS) lua.LValue {
	if t == nil || len(t.Certs) == 0 {
		return lua.LNil
	}
	return in.certValue(t.Certs[0])
}

// certProp makes a property of a certificate.
func certProp(name, typ, doc string, get func(L *lua.LState, c *x509.Certificate) lua.LValue) member {
	return prop(name, typ, doc, func(L *lua.LState, o *certObj) lua.LValue { return get(L, o.cert) }, nil)
}

func certClass() *class {
	return newClass(class{
		name:    "SSLCert",
		doc:     "An X.509 certificate. SSLCert.from_pem(text) and SSLCert.from_der(bytes) make one.",
		members: append(certProps(), certMethods()...),
		meta: map[string]lua.LGFunction{
			"__eq": func(L *lua.LState) int {
				a, b := as[*certObj](L, L.CheckUserData(1).Value, "=="), as[*certObj](L, L.CheckUserData(2).Value, "==")
				L.Push(lua.LBool(a.cert.Equal(b.cert)))
				return 1
			},
			"__tostring": func(L *lua.LState) int {
				L.Push(lua.LString(as[*certObj](L, selfValue(L), "tostring").cert.Subject.String()))
				return 1
			},
		},
	})
}

func certProps() []member {
	return []member{
		certProp("cn", "string?", "The common name.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return stringOrNil(c.Subject.CommonName) }),
		certProp("organization", "string?", "The organization of the subject.", func(_ *lua.LState, c *x509.Certificate) lua.LValue {
			return stringOrNil(strings.Join(c.Subject.Organization, ", "))
		}),
		certProp("altnames", "string[]", "The DNS names and IP addresses that it is valid for.", func(L *lua.LState, c *x509.Certificate) lua.LValue {
			t := stringArray(L, c.DNSNames)
			for _, ip := range c.IPAddresses {
				t.Append(lua.LString(ip.String()))
			}
			return t
		}),
		certProp("notbefore", "number", "When it begins to be valid, in seconds since 1970.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LNumber(c.NotBefore.Unix()) }),
		certProp("notafter", "number", "When it ceases to be valid, in seconds since 1970.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LNumber(c.NotAfter.Unix()) }),
		certProp("has_expired", "boolean", "It is no longer valid.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LBool(time.Now().After(c.NotAfter)) }).named("expired"),
		certProp("days_left", "number", "Days until it ceases to be valid, negative afterwards.", func(_ *lua.LState, c *x509.Certificate) lua.LValue {
			return lua.LNumber(time.Until(c.NotAfter).Hours() / 24)
		}),
		certProp("serial", "string", "The serial number in decimal, as a string: it is larger than a number can hold.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LString(c.SerialNumber.String()) }),
		certProp("serial_hex", "string", "The serial number in hexadecimal.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LString(c.SerialNumber.Text(16)) }),
		certProp("issuer", "table", "Who signed it: a list of {name, value}, which has each value under its name too, as in issuer.CN.", func(L *lua.LState, c *x509.Certificate) lua.LValue { return nameTable(L, &c.Issuer) }),
		certProp("subject", "table", "Whom it is for, as issuer.", func(L *lua.LState, c *x509.Certificate) lua.LValue { return nameTable(L, &c.Subject) }),
		certProp("keyinfo", "{string, number}", "Kind and size of the key, such as {\"RSA\", 2048}.", func(L *lua.LState, c *x509.Certificate) lua.LValue {
			kind, bits := keyInfo(c)
			t := L.CreateTable(2, 0)
			t.Append(lua.LString(kind))
			t.Append(lua.LNumber(bits))
			return t
		}),
		certProp("is_ca", "boolean", "It may sign other certificates.", func(_ *lua.LState, c *x509.Certificate) lua.LValue { return lua.LBool(c.IsCA) }),
		certProp("signature_algorithm", "string", "How it is signed, such as \"SHA256-RSA\".", func(_ *lua.LState, c *x509.Certificate) lua.LValue {
			return lua.LString(c.SignatureAlgorithm.String())
		}),
		certProp("crl_urls", "string[]", "Where its revocation lists are.", func(L *lua.LState, c *x509.Certificate) lua.LValue { return stringArray(L, c.CRLDistributionPoints) }),
		certProp("spki_pin", "string", "SHA-256 of the public key in base64, as pinning uses it.", func(_ *lua.LState, c *x509.Certificate) lua.LValue {
			sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
			return lua.LString(base64.StdEncoding.EncodeToString(sum[:]))
		}),
	}
}

func certMethods() []member {
	return []member{
		method("fingerprint", "([algorithm]) -> string", "Returns the digest in hexadecimal. The algorithm is sha256 (the default), sha1, sha512 or md5.", func(L *lua.LState, o *certObj) int {
			L.Push(lua.LString(hex.EncodeToString(digest(L, o.cert, L.OptString(2, "sha256")))))
			return 1
		}),
		method("digest", "(algorithm) -> string", "Returns the digest in hexadecimal with colons, as in \"AB:CD\".", func(L *lua.LState, o *certObj) int {
			sum := digest(L, o.cert, L.CheckString(2))
			parts := make([]string, len(sum))
			for i, b := range sum {
				parts[i] = strings.ToUpper(hex.EncodeToString([]byte{b}))
			}
			L.Push(lua.LString(strings.Join(parts, ":")))
			return 1
		}),
		method("to_pem", "() -> string", "Returns the certificate as PEM text.", func(L *lua.LState, o *certObj) int {
			L.Push(text(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: o.cert.Raw})))
			return 1
		}),
		method("to_der", "() -> string", "Returns the certificate as DER bytes.", func(L *lua.LState, o *certObj) int {
			L.Push(text(o.cert.Raw))
			return 1
		}),
	}
}

func digest(L *lua.LState, c *x509.Certificate, algorithm string) []byte {
	switch strings.ToLower(algorithm) {
	case "sha256":
		sum := sha256.Sum256(c.Raw)
		return sum[:]
	case "sha1":
		sum := sha1.Sum(c.Raw) //nolint:gosec // a fingerprint
		return sum[:]
	case "sha512":
		sum := sha512.Sum512(c.Raw)
		return sum[:]
	case "md5":
		sum := md5.Sum(c.Raw) //nolint:gosec // a fingerprint
		return sum[:]
	}
	L.RaiseError("unknown digest '%s' (sha256, sha1, sha512, md5)", algorithm)
	return nil
}

// attributeNames are the short names of distinguished name attributes (RFC
// 4514, section 3, and RFC 2985).
var attributeNames = map[string]string{
	"2.5.4.3": "CN", "2.5.4.5": "serialNumber", "2.5.4.6": "C", "2.5.4.7": "L", "2.5.4.8": "ST", "2.5.4.9": "street",
	"2.5.4.10": "O", "2.5.4.11": "OU", "2.5.4.17": "postalCode", "0.9.2342.19200300.100.1.25": "DC",
	"0.9.2342.19200300.100.1.1": "UID", "1.2.840.113549.1.9.1": "emailAddress",
}

func nameTable(L *lua.LState, n *pkix.Name) *lua.LTable {
	t := L.NewTable()
	for _, a := range n.Names {
		key := attributeNames[a.Type.String()]
		if key == "" {
			key = a.Type.String()
		}
		value, _ := a.Value.(string)
		t.Append(stringArray(L, []string{key, value}))
		t.RawSetString(key, lua.LString(value))
	}
	return t
}

func keyInfo(c *x509.Certificate) (kind string, bits int) {
	switch k := c.PublicKey.(type) {
	case *rsa.PublicKey:
		return "RSA", k.N.BitLen()
	case *ecdsa.PublicKey:
		return "EC", k.Curve.Params().BitSize
	case ed25519.PublicKey:
		return "Ed25519", len(k) * 8
	}
	return c.PublicKeyAlgorithm.String(), 0
}

// certConstructors is the global SSLCert.
func (in *instance) certConstructors(L *lua.LState) *lua.LTable {
	t := L.NewTable()
	t.RawSetString("from_der", L.NewFunction(func(L *lua.LState) int { return in.pushCert(L, []byte(L.CheckString(1))) }))
	t.RawSetString("from_pem", L.NewFunction(func(L *lua.LState) int {
		block, _ := pem.Decode([]byte(L.CheckString(1)))
		if block == nil {
			L.RaiseError("from_pem: no PEM block found")
			return 0
		}
		return in.pushCert(L, block.Bytes)
	}))
	return t
}

func (in *instance) pushCert(L *lua.LState, der []byte) int {
	c, err := x509.ParseCertificate(der)
	if err != nil {
		L.RaiseError("%s", err.Error())
	}
	L.Push(in.certValue(c))
	return 1
}
