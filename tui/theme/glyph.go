package theme

// A Glyph is a symbol that has a Unicode and an ASCII form, both one cell wide.
// None is an emoji: their width differs between terminals.
type Glyph uint8

// The glyphs.
const (
	Ellipsis    Glyph = iota // text was cut here, a flow in progress
	Cursor                   // left edge of the selected row
	Bullet                   // listening, on
	Circle                   // off
	Tick                     // success
	Cross                    // failure
	Alert                    // warning
	Pause                    // held
	Loop                     // replayed
	Changed                  // modified by the user or a script
	Flag                     // marked
	Exchange                 // WebSocket, program
	Up                       // to the server, more above
	Down                     // to the client, more below
	Return                   // the Enter key
	Horizontal               // rules and frames
	Vertical                 //
	TopLeft                  //
	TopRight                 //
	BottomLeft               //
	BottomRight              //
	Shade                    // the part of a bar that was waited for
	Full                     // the part of a bar that is done
	Pointer                  // the chosen candidate
	Collapsed                // an item that can be opened
	Expanded                 // an item that is open
	glyphCount
)

var glyphs = [glyphCount][2]string{
	Ellipsis:    {"…", "."},
	Cursor:      {"▌", ">"},
	Bullet:      {"●", "*"},
	Circle:      {"○", "o"},
	Tick:        {"✓", "+"},
	Cross:       {"✗", "x"},
	Alert:       {"!", "!"},
	Pause:       {"‖", "|"},
	Loop:        {"↺", "r"},
	Changed:     {"~", "~"},
	Flag:        {"⚑", "#"},
	Exchange:    {"⇅", "w"},
	Up:          {"↑", "^"},
	Down:        {"↓", "v"},
	Return:      {"⏎", "<"},
	Horizontal:  {"─", "-"},
	Vertical:    {"│", "|"},
	TopLeft:     {"┌", "+"},
	TopRight:    {"┐", "+"},
	BottomLeft:  {"└", "+"},
	BottomRight: {"┘", "+"},
	Shade:       {"▒", ":"},
	Full:        {"█", "#"},
	Pointer:     {"▸", ">"},
	Collapsed:   {"▹", "+"},
	Expanded:    {"▿", "-"},
}

// Glyph returns the form of g that the terminal can show.
func (t *Theme) Glyph(g Glyph) string {
	if g >= glyphCount {
		return "?"
	}
	if t.ASCII {
		return glyphs[g][1]
	}
	return glyphs[g][0]
}

var (
	eighths      = []string{" ", "▏", "▎", "▍", "▌", "▋", "▊", "▉", "█"}
	asciiEighths = []string{" ", " ", " ", "-", "-", "=", "=", "#", "#"}
	sparks       = []string{" ", "▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"}
	asciiSparks  = []string{" ", "_", "_", ".", "-", "-", "=", "*", "#"}
)

// Eighths returns nine cells filled from the left by 0 to 8 eighths. Not to be
// changed.
func (t *Theme) Eighths() []string {
	if t.ASCII {
		return asciiEighths
	}
	return eighths
}

// Sparks returns nine cells filled from below by 0 to 8 eighths. Not to be
// changed.
func (t *Theme) Sparks() []string {
	if t.ASCII {
		return asciiSparks
	}
	return sparks
}
