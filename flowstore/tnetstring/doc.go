// Package tnetstring is a codec for the typed netstrings that mitmproxy's flow
// files consist of: a decimal length, a colon, the payload and one byte for the
// type. It is the format of tnetstrings.info plus mitmproxy's type for text.
//
//	,  bytes     []byte          !  bool     "true" or "false"
//	;  text      string          ~  null     nil
//	#  integer   int64           ]  list     []any, concatenated items
//	^  float     float64         }  dict     map[string]any, keys and values in turn
//
// A [Reader] takes values off a stream one by one, a [Value] is looked at in
// place without decoding the whole, and an [Encoder] builds values without
// allocating. [Decode] and [Encode] convert whole values.
//
// Readers and Encoders are owned by one goroutine; a Value may be shared.
package tnetstring
