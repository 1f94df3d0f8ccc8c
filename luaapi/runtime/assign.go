package runtime

import (
	"fmt"

	"github.com/yuin/gopher-lua/ast"
)

// separate returns what stands for a statement. gopher-lua assigns to the local
// variables of a multiple assignment before it has evaluated all of it (its
// issue 440), so that "a, b = b, a" made both the same. Such an assignment becomes
//
//	do local t1, t2 = b, a; a = t1; b = t2 end
//
// where fields and elements are assigned to before variables, which their
// expressions may contain.
func separate(s ast.Stmt) ast.Stmt {
	assign, ok := s.(*ast.AssignStmt)
	if !ok || !entangled(assign) {
		return s
	}
	temps := &ast.LocalAssignStmt{Exprs: assign.Rhs}
	fields, variables := &ast.AssignStmt{}, []ast.Stmt(nil)
	for i, target := range assign.Lhs {
		temp := &ast.IdentExpr{Value: fmt.Sprintf("(value %d)", i+1)} // no script has this name
		place(temp, target)
		temps.Names = append(temps.Names, temp.Value)
		if _, ok := target.(*ast.IdentExpr); !ok {
			fields.Lhs, fields.Rhs = append(fields.Lhs, target), append(fields.Rhs, temp)
			continue
		}
		one := &ast.AssignStmt{Lhs: []ast.Expr{target}, Rhs: []ast.Expr{temp}}
		place(one, s)
		variables = append(variables, one)
	}
	block := &ast.DoBlockStmt{Stmts: []ast.Stmt{temps}}
	if len(fields.Lhs) > 0 {
		block.Stmts = append(block.Stmts, fields)
	}
	block.Stmts = append(block.Stmts, variables...)
	for _, n := range []ast.PositionHolder{temps, fields, block} {
		place(n, s)
	}
	return block
}

func place(n, where ast.PositionHolder) {
	n.SetLine(where.Line())
	n.SetLastLine(where.LastLine())
}

// entangled reports whether something in a multiple assignment is evaluated after
// a variable that it may contain was assigned to.
func entangled(s *ast.AssignStmt) bool {
	variables := 0
	for _, target := range s.Lhs {
		if _, ok := target.(*ast.IdentExpr); ok {
			variables++
		}
	}
	switch {
	case len(s.Lhs) < 2 || variables == 0:
		return false
	case variables < len(s.Lhs):
		return true
	}
	return len(s.Rhs) > 1 && !constants(s.Rhs)
}

func constants(list []ast.Expr) bool {
	for _, e := range list {
		if _, ok := e.(ast.ConstExpr); !ok {
			return false
		}
	}
	return true
}
