package module

import "time"

// What a call makes or takes at most.
const (
	maxString   = 1 << 30  // bytes of a string that a function makes
	maxItems    = 1 << 22  // items of a list that a function makes
	maxMatches  = 1 << 20  // matches of a regular expression in one subject
	maxDepth    = 512      // nested tables in JSON and in inspect
	maxMarkup   = 16 << 20 // bytes of an HTML or XML document
	maxPretty   = 64 << 20 // bytes of what is indented
	maxIndent   = 16       // bytes of one level of indentation
	maxInspect  = 1 << 20  // bytes that inspect returns
	maxFile     = 64 << 20 // bytes of a file that is read
	maxBody     = 64 << 20 // bytes of a body that http receives, unless the call says
	maxOutput   = 16 << 20 // bytes kept of each output of a command
	maxRandom   = 1 << 20  // random bytes of one call
	maxParts    = 10000    // parts of a multipart body
	maxCompiled = 256      // compiled expressions kept by each kind

	netTimeout  = 30 * time.Second // of http and exec, unless the call says
	dnsTimeout  = 10 * time.Second
	jqTimeout   = 2 * time.Second // the default budget of a handler
	longestWait = 24 * time.Hour
)

// heavy is the size in bytes from which work is done without the baton.
const heavy = 1 << 20

// meanwhile is what functions say that work without the baton on much.
const meanwhile = " For more than 1 MB other handlers may run meanwhile."

// pollEvery is after how many values a long loop asks whether it shall stop.
const pollEvery = 4096
