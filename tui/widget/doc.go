// Package widget holds the parts that the console's screens are made of: the
// screen that lets nothing hostile and nothing redundant through to the
// terminal, the loop that brings other goroutines' news to it, text drawing,
// and primitives for lists, bodies, prompts, choices and tables.
//
// The primitives are for tview's focus and mouse routing. They draw by
// themselves, read the theme at every draw, and are used on the goroutine of
// the tview.Application only, except where a comment says otherwise. None of
// them handles keys that the keymap should: screens call Move, Page, Scroll and
// so on from commands. Prompts, choosers and grids, which own the keyboard
// while they are open, do handle their keys.
package widget
