package runtime

import (
	"fmt"

	"github.com/yuin/gopher-lua/ast"
)

const (
	// maxLevels bounds the depth of the syntax tree, which chains such as
	// a..b..c or a.b.c have, too: the compiler recurses into it.
	maxLevels = 2000

	// maxItems is how many list items a table constructor may have; gopher-lua
	// would silently drop what comes after (its pull request 537).
	maxItems = 25550
)

// A walker goes through a syntax tree until it finds an error, and mends it.
type walker struct {
	name string
	line int // of the last statement or expression that has one
	err  error
}

// checkTree refuses trees that cannot be compiled safely or rightly, and changes
// what would be compiled wrongly.
func checkTree(name string, tree []ast.Stmt) error {
	w := walker{name: name}
	w.stmts(tree, 0)
	return w.err
}

func (w *walker) fail(format string, args ...any) {
	w.err = syntaxError(w.name, w.line, fmt.Sprintf(format, args...))
}

// enter notes a node and reports whether to go into it.
func (w *walker) enter(n ast.PositionHolder, depth int) bool {
	if w.err != nil {
		return false
	}
	if line := n.Line(); line > 0 {
		w.line = line
	}
	if depth > maxLevels {
		w.fail("code nests deeper than %d", maxLevels)
		return false
	}
	return true
}

func (w *walker) stmts(list []ast.Stmt, depth int) {
	for i, s := range list {
		if w.enter(s, depth) {
			w.stmt(s, depth+1)
			list[i] = separate(s)
		}
	}
}

func (w *walker) stmt(s ast.Stmt, depth int) {
	switch s := s.(type) {
	case *ast.AssignStmt:
		w.exprs(depth, s.Lhs...)
		w.exprs(depth, s.Rhs...)
	case *ast.LocalAssignStmt:
		w.exprs(depth, s.Exprs...)
	case *ast.FuncCallStmt:
		w.exprs(depth, s.Expr)
	case *ast.DoBlockStmt:
		w.stmts(s.Stmts, depth)
	case *ast.WhileStmt:
		w.exprs(depth, s.Condition)
		w.stmts(s.Stmts, depth)
	case *ast.RepeatStmt:
		w.exprs(depth, s.Condition)
		w.stmts(s.Stmts, depth)
	case *ast.IfStmt:
		w.exprs(depth, s.Condition)
		w.stmts(s.Then, depth)
		w.stmts(s.Else, depth)
	case *ast.NumberForStmt:
		w.exprs(depth, s.Init, s.Limit, s.Step)
		w.stmts(s.Stmts, depth)
	case *ast.GenericForStmt:
		w.exprs(depth, s.Exprs...)
		w.stmts(s.Stmts, depth)
	case *ast.FuncDefStmt:
		w.exprs(depth, s.Name.Func, s.Name.Receiver)
		w.stmts(s.Func.Stmts, depth)
	case *ast.ReturnStmt:
		w.exprs(depth, s.Exprs...)
	}
}

func (w *walker) exprs(depth int, list ...ast.Expr) {
	for _, e := range list {
		if e != nil && w.enter(e, depth) {
			w.expr(e, depth+1)
		}
	}
}

func (w *walker) expr(e ast.Expr, depth int) {
	switch e := e.(type) {
	case *ast.AttrGetExpr:
		w.exprs(depth, e.Object, e.Key)
	case *ast.TableExpr:
		w.table(e, depth)
	case *ast.FuncCallExpr:
		w.exprs(depth, e.Func, e.Receiver)
		w.exprs(depth, e.Args...)
	case *ast.LogicalOpExpr:
		w.exprs(depth, e.Lhs, e.Rhs)
	case *ast.RelationalOpExpr:
		w.exprs(depth, e.Lhs, e.Rhs)
	case *ast.StringConcatOpExpr:
		w.exprs(depth, e.Lhs, e.Rhs)
	case *ast.ArithmeticOpExpr:
		w.exprs(depth, e.Lhs, e.Rhs)
	case *ast.UnaryMinusOpExpr:
		w.exprs(depth, e.Expr)
	case *ast.UnaryNotOpExpr:
		w.exprs(depth, e.Expr)
	case *ast.UnaryLenOpExpr:
		w.exprs(depth, e.Expr)
	case *ast.FunctionExpr:
		w.stmts(e.Stmts, depth)
	}
}

func (w *walker) table(t *ast.TableExpr, depth int) {
	items := 0
	for _, f := range t.Fields {
		if f.Key == nil {
			items++
		}
		w.exprs(depth, f.Key, f.Value)
	}
	if items > maxItems && w.err == nil {
		w.fail("table constructor has %d items; at most %d work", items, maxItems)
	}
}
