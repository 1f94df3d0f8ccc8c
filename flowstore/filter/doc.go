// Package filter is the expression language that selects flows, that of
// mitmproxy.
//
//	expr   = or { or }            both must match
//	or     = and { "|" and }
//	and    = not { "&" not }
//	not    = { "!" } atom
//	atom   = "(" expr ")" | operator [ argument ] | regex
//	regex  = word | '"' … '"' | "'" … "'"
//
// A word is any run of characters other than white space and ( ) ~ ' ". Between
// quotes a backslash before a quote or a backslash stands for that character;
// other backslashes belong to the expression. A regex without an operator is
// matched against the URL, as by ~u. The operators are in the table that
// [Operators] returns.
//
// Regular expressions are those of package regexp, matched anywhere in the text
// and without regard to case. Against those of Python: there is no lookahead or
// lookbehind, no back-reference, no possessive repeat, and the end of the text
// is \z, not \Z; using them is a [SyntaxError]. \d, \w, \s and \b know ASCII
// only, $ does not match before a final line break, and \xff is the letter ÿ
// rather than a byte. In exchange, matching takes linear time.
package filter
