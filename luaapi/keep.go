package luaapi

import (
	"slices"
	"strings"

	lua "github.com/yuin/gopher-lua"
)

// mayKeep reports whether a handler could still hold on to its flow, or to
// anything of it, when it has returned: in a variable that outlives it, in a
// table, or by giving it to somebody else. The object of a flow that cannot be
// kept is used again for another one, which saves a good part of the memory that
// a request takes. With self the handler is a method.
//
// The answer comes from the code of the handler: values are followed through its
// registers along all paths. What is not certainly harmless counts as keeping.
func mayKeep(p *lua.FunctionProto, self bool) bool {
	register := 1 // after ctx
	if self {
		register = 2
	}
	if register >= int(p.NumParameters) && p.IsVarArg == 0 {
		return false // it does not take its flow
	}
	if p.IsVarArg != 0 || len(p.FunctionPrototypes) > 0 { // closures see registers
		return true
	}
	t := tracer{proto: p, before: make([]holding, len(p.Code)+2)}
	t.before[0] = holding{unknown: registers{^uint64(0), ^uint64(0), ^uint64(0), ^uint64(0)}}
	t.before[0].of.add(register)
	t.reached = make([]bool, len(t.before))
	t.reached[0] = true
	for again := true; again && !t.keeps; { // until loops bring nothing new
		again = false
		for pc := range p.Code {
			if t.reached[pc] && !t.keeps {
				again = t.step(pc) || again
			}
		}
	}
	return t.keeps
}

// registers is a set of registers.
type registers [4]uint64

func (r *registers) add(i int)     { r[i>>6&3] |= 1 << (i & 63) }
func (r *registers) remove(i int)  { r[i>>6&3] &^= 1 << (i & 63) }
func (r registers) has(i int) bool { return r[i>>6&3]>>(i&63)&1 != 0 }

// holding is what registers may hold at one point of the code.
type holding struct {
	of      registers // the flow, or something got from it
	method  registers // a method of such a value, which is in the next register
	unknown registers // something else than a constant known to be harmless
}

func (h *holding) set(i int, of bool) {
	h.of.remove(i)
	h.method.remove(i)
	h.unknown.add(i)
	if of {
		h.of.add(i)
	}
}

// setConstant notes that a register holds a constant.
func (h *holding) setConstant(i int, harmless bool) {
	h.set(i, false)
	if harmless {
		h.unknown.remove(i)
	}
}

func (h *holding) has(i int) bool { return h.of.has(i) || h.method.has(i) }

// any reports whether one of the registers from to to, without it, holds part of
// the flow.
func (h *holding) any(from, to int) bool {
	for i := from; i < to; i++ {
		if h.has(i) {
			return true
		}
	}
	return false
}

// join adds what o holds and reports whether that was anything new.
func (h *holding) join(o holding) bool {
	old := *h
	for i := range h.of {
		h.of[i] |= o.of[i]
		h.method[i] |= o.method[i]
		h.unknown[i] |= o.unknown[i]
	}
	return *h != old
}

// A tracer follows a flow through the code of a function.
type tracer struct {
	proto   *lua.FunctionProto
	before  []holding // each instruction
	reached []bool
	keeps   bool
}

// An instruction of gopher-lua's virtual machine, taken apart.
type instruction struct{ op, a, b, c, bx int }

func decode(code uint32) instruction {
	return instruction{int(code >> 26), int(code >> 18 & 0xff), int(code & 0x1ff), int(code >> 9 & 0x1ff), int(code & 0x3ffff)}
}

const (
	constantBit = 1 << 8    // in an operand: a constant, not a register
	registerEnd = 256       // behind the last register
	jumpBias    = 1<<17 - 1 // bx of a jump over nothing
)

// step follows the instruction at pc and reports whether what comes after it has
// learnt something.
func (t *tracer) step(pc int) bool {
	in := decode(t.proto.Code[pc])
	h := t.before[pc]
	jump := pc + 1 + in.bx - jumpBias
	switch in.op {
	case lua.OP_JMP, lua.OP_FORPREP:
		return t.reach(jump, h)
	case lua.OP_FORLOOP:
		h.set(in.a+3, false)
		next := t.reach(pc+1, h)
		return t.reach(jump, h) || next
	case lua.OP_RETURN:
		t.keeps = h.any(in.a, end(in.a, in.b-1))
		return false
	case lua.OP_TFORLOOP:
		t.keeps = h.any(in.a, in.a+3)
		for i := range in.c {
			h.set(in.a+3+i, false)
		}
		return t.skip(pc, h)
	case lua.OP_EQ, lua.OP_LT, lua.OP_LE:
		t.combine(&h, in.b, in.c)
		return t.skip(pc, h)
	case lua.OP_TEST:
		return t.skip(pc, h)
	case lua.OP_TESTSET:
		if h.has(in.b) {
			h.of.add(in.a)
		}
		h.unknown.add(in.a)
		return t.skip(pc, h)
	case lua.OP_LOADBOOL:
		h.set(in.a, false)
		return t.skip(pc, h)
	}
	t.follow(&h, in)
	return t.reach(pc+1, h)
}

// end is the register after n from first on; a negative n means all.
func end(first, n int) int {
	if n < 0 {
		return registerEnd
	}
	return min(first+n, registerEnd)
}

func (t *tracer) reach(pc int, h holding) bool {
	fresh := !t.reached[pc]
	t.reached[pc] = true
	return t.before[pc].join(h) || fresh
}

// skip goes to the next instruction and to the one behind it.
func (t *tracer) skip(pc int, h holding) bool {
	next := t.reach(pc+1, h)
	return t.reach(pc+2, h) || next
}

// combine is for operations that may call a metamethod of either operand.
func (t *tracer) combine(h *holding, operands ...int) {
	of, other := false, false
	for _, x := range operands {
		switch {
		case x >= constantBit:
		case h.has(x):
			of = true
		case h.unknown.has(x):
			other = true
		}
	}
	t.keeps = t.keeps || of && other
}

// follow changes h as an instruction does that goes on with the next one.
func (t *tracer) follow(h *holding, in instruction) {
	switch in.op {
	case lua.OP_MOVE, lua.OP_MOVEN: // the moves of a MOVEN follow it
		known := !h.unknown.has(in.b)
		h.set(in.a, h.has(in.b))
		if known {
			h.unknown.remove(in.a)
		}
	case lua.OP_GETTABLE, lua.OP_GETTABLEKS:
		t.keeps = t.holds(h, in.c)
		h.set(in.a, h.has(in.b) && !t.plain(in.c))
	case lua.OP_SETTABLE, lua.OP_SETTABLEKS:
		t.keeps = t.holds(h, in.b) || t.holds(h, in.c) || h.has(in.a) && t.links(h, in.b)
	case lua.OP_SELF:
		of := h.has(in.b)
		h.set(in.a+1, of)
		h.set(in.a, false)
		if of {
			h.method.add(in.a)
			t.keeps = t.constant(in.c) == "reply" // as assigning a response
		}
	case lua.OP_CALL, lua.OP_TAILCALL:
		t.call(h, in.a, in.b, in.c)
	case lua.OP_ADD, lua.OP_SUB, lua.OP_MUL, lua.OP_DIV, lua.OP_MOD, lua.OP_POW:
		t.combine(h, in.b, in.c)
		h.set(in.a, false)
	case lua.OP_CONCAT:
		for i := in.b; i < in.c; i++ {
			t.combine(h, i, i+1)
		}
		h.set(in.a, false)
	case lua.OP_LOADK:
		h.setConstant(in.a, t.proto.Constants[in.bx] != lua.LString("response"))
	case lua.OP_LOADNIL:
		for i := in.a; i <= in.b; i++ {
			h.set(i, false)
		}
	case lua.OP_GETUPVAL, lua.OP_GETGLOBAL, lua.OP_NEWTABLE, lua.OP_NOT, lua.OP_LEN, lua.OP_UNM:
		h.set(in.a, false)
	case lua.OP_SETGLOBAL, lua.OP_SETUPVAL:
		t.keeps = h.has(in.a)
	case lua.OP_SETLIST:
		n := in.b
		if n == 0 {
			n = registerEnd
		}
		t.keeps = h.any(in.a+1, end(in.a+1, n))
	case lua.OP_CLOSE, lua.OP_NOP:
	default:
		t.keeps = true
	}
}

// links reports whether assigning to what a key says, of a part of the flow, can
// link that part to the value: a response that a script has made knows the flow
// it was assigned to.
func (t *tracer) links(h *holding, key int) bool {
	if key < constantBit {
		return h.unknown.has(key)
	}
	return t.constant(key) == "response"
}

// call follows a call. A method may have its own object and keeps it no longer
// than it runs, but what it returns may lead there.
func (t *tracer) call(h *holding, a, b, c int) {
	first := a + 1
	if h.method.has(a) {
		first++
	}
	t.keeps = h.any(first, end(a+1, b-1))
	of := h.has(a)
	for i := a; i < end(a, c-1); i++ {
		if of || c > 0 {
			h.set(i, of)
		}
	}
}

// holds reports whether an operand is a register that holds part of the flow.
func (t *tracer) holds(h *holding, operand int) bool {
	return operand < constantBit && h.has(operand)
}

// constant is an operand's string, "" if it is no constant one.
func (t *tracer) constant(operand int) string {
	if operand < constantBit {
		return ""
	}
	s, _ := t.proto.Constants[operand-constantBit].(lua.LString)
	return string(s)
}

// plain reports whether indexing anything of a flow by an operand gives nothing
// that leads back to it: a property of a plain type, or what is no member at all
// and thus a value in a header, a view or the metadata.
func (t *tracer) plain(operand int) bool {
	name := t.constant(operand)
	if name == "" {
		return false
	}
	for _, c := range classes {
		if i := c.find(name); i >= 0 && !slices.Contains(plainTypes, strings.TrimSuffix(c.members[i].typ, "?")) {
			return false
		}
	}
	return true
}

var plainTypes = []string{"string", "number", "boolean"}
