package flow

import "fmt"

// The numbers of DNS messages are those of IANA's "Domain Name System (DNS)
// Parameters".
type (
	// DNSType is the type of a record, or of those asked for.
	DNSType uint16
	// DNSClass is the class of a record.
	DNSClass uint16
	// DNSOpCode is the kind of a question.
	DNSOpCode uint8
	// DNSRCode is the response code of an answer.
	DNSRCode uint8
)

// The types whose data is read.
const (
	DNSTypeA     DNSType = 1
	DNSTypeNS    DNSType = 2
	DNSTypeCNAME DNSType = 5
	DNSTypeSOA   DNSType = 6
	DNSTypePTR   DNSType = 12
	DNSTypeMX    DNSType = 15
	DNSTypeTXT   DNSType = 16
	DNSTypeAAAA  DNSType = 28
	DNSTypeSRV   DNSType = 33
	DNSTypeDNAME DNSType = 39
	DNSTypeOPT   DNSType = 41
	DNSTypeSVCB  DNSType = 64
	DNSTypeHTTPS DNSType = 65
	DNSTypeSPF   DNSType = 99
	DNSTypeIXFR  DNSType = 251
	DNSTypeAXFR  DNSType = 252
	DNSTypeCAA   DNSType = 257
)

// DNSClassIN is the class of the Internet.
const DNSClassIN DNSClass = 1

// Response codes.
const (
	DNSNoError  DNSRCode = 0
	DNSFormErr  DNSRCode = 1
	DNSServFail DNSRCode = 2
	DNSNXDomain DNSRCode = 3
	DNSNotImp   DNSRCode = 4
	DNSRefused  DNSRCode = 5
)

// String returns the name of a type, TYPE(n) for one without.
func (t DNSType) String() string { return numberName(dnsTypes, t, "TYPE") }

// String returns the name of a class, CLASS(n) for one without.
func (c DNSClass) String() string { return numberName(dnsClasses, c, "CLASS") }

// String returns the name of an op code, OPCODE(n) for one without.
func (o DNSOpCode) String() string { return numberName(dnsOpCodes, o, "OPCODE") }

// String returns the name of a response code, RCODE(n) for one without.
func (r DNSRCode) String() string { return numberName(dnsRCodes, r, "RCODE") }

func numberName[T ~uint8 | ~uint16](names map[T]string, n T, kind string) string {
	if s, ok := names[n]; ok {
		return s
	}
	return fmt.Sprintf("%s(%d)", kind, n)
}

var dnsClasses = map[DNSClass]string{1: "IN", 3: "CH", 4: "HS", 254: "NONE", 255: "ANY"}

var dnsOpCodes = map[DNSOpCode]string{0: "QUERY", 1: "IQUERY", 2: "STATUS", 4: "NOTIFY", 5: "UPDATE", 6: "DSO"}

var dnsRCodes = map[DNSRCode]string{
	0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED", 6: "YXDOMAIN",
	7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE", 11: "DSOTYPENI",
}

var dnsTypes = map[DNSType]string{
	1: "A", 2: "NS", 3: "MD", 4: "MF", 5: "CNAME", 6: "SOA", 7: "MB", 8: "MG", 9: "MR", 10: "NULL", 11: "WKS",
	12: "PTR", 13: "HINFO", 14: "MINFO", 15: "MX", 16: "TXT", 17: "RP", 18: "AFSDB", 19: "X25", 20: "ISDN",
	21: "RT", 22: "NSAP", 23: "NSAP-PTR", 24: "SIG", 25: "KEY", 26: "PX", 27: "GPOS", 28: "AAAA", 29: "LOC",
	30: "NXT", 31: "EID", 32: "NIMLOC", 33: "SRV", 34: "ATMA", 35: "NAPTR", 36: "KX", 37: "CERT", 38: "A6",
	39: "DNAME", 40: "SINK", 41: "OPT", 42: "APL", 43: "DS", 44: "SSHFP", 45: "IPSECKEY", 46: "RRSIG",
	47: "NSEC", 48: "DNSKEY", 49: "DHCID", 50: "NSEC3", 51: "NSEC3PARAM", 52: "TLSA", 53: "SMIMEA", 55: "HIP",
	56: "NINFO", 57: "RKEY", 58: "TALINK", 59: "CDS", 60: "CDNSKEY", 61: "OPENPGPKEY", 62: "CSYNC",
	63: "ZONEMD", 64: "SVCB", 65: "HTTPS", 99: "SPF", 100: "UINFO", 101: "UID", 102: "GID", 103: "UNSPEC",
	104: "NID", 105: "L32", 106: "L64", 107: "LP", 108: "EUI48", 109: "EUI64", 249: "TKEY", 250: "TSIG",
	251: "IXFR", 252: "AXFR", 253: "MAILB", 254: "MAILA", 255: "ANY", 256: "URI", 257: "CAA", 258: "AVC",
	259: "DOA", 260: "AMTRELAY", 32768: "TA", 32769: "DLV",
}
