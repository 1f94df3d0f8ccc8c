package addon

import (
	"context"
	"errors"
	"strings"

	"moontap/proxy/command"
	"moontap/proxy/option"
)

// optionCommands read and change options.
func optionCommands(opts *option.Set) []command.Command {
	name := command.Param{Name: "option", Type: command.Str, Choices: func() []string {
		all := opts.All()
		names := make([]string, len(all))
		for i, o := range all {
			names[i] = o.Name
		}
		return names
	}}
	return []command.Command{
		{
			Name: "set",
			Help: "Set an option: no value means true, unset or empty; a list takes each word, others take the words joined.",
			Params: []command.Param{
				name,
				{Name: "value", Type: command.Strs, Optional: true},
			},
			Run: func(_ context.Context, a command.Args) (any, error) {
				values := a.Strs(1)
				if o, ok := opts.Lookup(a.Str(0)); ok && o.Kind != option.Strings && len(values) > 1 {
					values = []string{strings.Join(values, " ")}
				}
				return nil, opts.Parse(a.Str(0), values...)
			},
		},
		{
			Name: "options.reset", Help: "Give all options their defaults.",
			Run: func(context.Context, command.Args) (any, error) {
				var errs []error
				for _, o := range opts.All() {
					errs = append(errs, opts.Reset(o.Name))
				}
				return nil, errors.Join(errs...)
			},
		},
		{
			Name: "options.reset.one", Help: "Give an option its default.", Params: []command.Param{name},
			Run: func(_ context.Context, a command.Args) (any, error) { return nil, opts.Reset(a.Str(0)) },
		},
	}
}
