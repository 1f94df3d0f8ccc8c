package pattern

const (
	alpha = 1 << iota
	control
	digit
	lower
	punct
	space
	upper
	hex
	zero
)

// classes has the classes of each ASCII byte, as C's ctype.h has them in the "C"
// locale; bytes from 128 on are in none.
var classes = func() (t [256]uint16) {
	add := func(from, to byte, class uint16) {
		for c := from; c <= to; c++ {
			t[c] |= class
		}
	}
	add(0, 31, control)
	add(127, 127, control)
	add('\t', '\r', space)
	add(' ', ' ', space)
	add('0', '9', digit|hex)
	add('A', 'Z', alpha|upper)
	add('a', 'z', alpha|lower)
	add('A', 'F', hex)
	add('a', 'f', hex)
	add('!', '/', punct)
	add(':', '@', punct)
	add('[', '`', punct)
	add('{', '~', punct)
	add(0, 0, zero)
	return t
}()

// classOf has the classes that the lower-case letter of a "%letter" stands for.
var classOf = [256]uint16{
	'a': alpha, 'c': control, 'd': digit, 'l': lower, 'p': punct, 's': space,
	'u': upper, 'w': alpha | digit, 'x': hex, 'z': zero,
}

// inClass reports whether c matches "%class": an upper-case letter is the
// complement of its lower-case one, anything but a class letter stands for
// itself.
func inClass(c, class byte) bool {
	small := class
	if class >= 'A' && class <= 'Z' {
		small += 'a' - 'A'
	}
	set := classOf[small]
	if set == 0 {
		return c == class
	}
	return (classes[c]&set != 0) == (small == class)
}
