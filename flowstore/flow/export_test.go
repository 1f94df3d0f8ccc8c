package flow

// DecodeUpTo is Decode with another limit, for bombs that tests can afford.
var DecodeUpTo = decode
