package widget

import (
	"fmt"
	"html"
	"strings"

	"github.com/gdamore/tcell/v2"
)

// The measures of a picture in its units, and the colours of the terminal it
// shows.
const (
	svgCellWidth  = 8.4
	svgCellHeight = 18.0
	svgBaseline   = 13.5
	svgPadding    = 12.0
	svgForeground = "#c0caf5"
	svgBackground = "#1a1b26"
	svgFonts      = "DejaVu Sans Mono,Menlo,Consolas,monospace"
)

// SVG returns a picture of the screen.
func (d *Driver) SVG() string {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %.0f %.0f" font-family="%s" font-size="14">`+"\n",
		float64(d.Screen.w)*svgCellWidth+2*svgPadding, float64(d.Screen.h)*svgCellHeight+2*svgPadding, svgFonts)
	fmt.Fprintf(&b, `<rect width="100%%" height="100%%" rx="8" fill="%s"/>`+"\n", svgBackground)
	y := svgPadding
	d.rows(func(row []cell) {
		svgRow(&b, row, y)
		y += svgCellHeight
	})
	b.WriteString("</svg>\n")
	return b.String()
}

// svgRow draws stretches of cells of one style. A wide cell is a stretch of its
// own, since fonts disagree about its width.
func svgRow(b *strings.Builder, row []cell, y float64) {
	for from := 0; from < len(row); {
		var text strings.Builder
		text.WriteString(row[from].text)
		to := from + 1
		if row[from].width == 2 {
			to++
		}
		for row[from].width == 1 && to < len(row) && row[to].style == row[from].style && row[to].width == 1 {
			text.WriteString(row[to].text)
			to++
		}
		svgRun(b, svgPadding+float64(from)*svgCellWidth, y, float64(to-from)*svgCellWidth, text.String(), row[from].style)
		from = to
	}
}

func svgRun(b *strings.Builder, x, y, width float64, text string, st tcell.Style) {
	fg, bg, attrs := st.Decompose()
	ink, paper := svgColor(fg, svgForeground), svgColor(bg, svgBackground)
	if attrs&tcell.AttrReverse != 0 {
		ink, paper = paper, ink
	}
	if paper != svgBackground {
		fmt.Fprintf(b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s"/>`+"\n", x, y, width, svgCellHeight, paper)
	}
	if strings.TrimSpace(text) == "" {
		return
	}
	more := ""
	if attrs&tcell.AttrBold != 0 {
		more += ` font-weight="bold"`
	}
	if attrs&tcell.AttrItalic != 0 {
		more += ` font-style="italic"`
	}
	if attrs&tcell.AttrDim != 0 {
		more += ` opacity="0.6"`
	}
	if st.GetUnderlineStyle() != tcell.UnderlineStyleNone {
		more += ` text-decoration="underline"`
	}
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f" lengthAdjust="spacingAndGlyphs" xml:space="preserve">%s</text>`+"\n",
		x, y+svgBaseline, ink, more, width, html.EscapeString(text))
}

func svgColor(c tcell.Color, otherwise string) string {
	if hex := c.TrueColor().Hex(); hex >= 0 {
		return fmt.Sprintf("#%06x", hex)
	}
	return otherwise
}
