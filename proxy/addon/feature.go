package addon

import (
	"moontap/proxy/hook"
	"moontap/proxy/option"
)

// A Feature is a hook with its name in the chain, which is that of its option.
type Feature struct {
	Name string
	Hook any
}

// AddFeatures adds features to a chain. One whose option says nothing rests.
func AddFeatures(hooks *hook.Chain, opts *option.Set, features []Feature) error {
	for _, f := range features {
		if err := hooks.Add(f.Name, f.Hook); err != nil {
			return err
		}
		follow := func([]string) error {
			hooks.Rest(f.Name, opts.IsDefault(f.Name))
			return nil
		}
		opts.OnChange(follow, f.Name)
		_ = follow(nil)
	}
	return nil
}

// BeforeScripts returns the features whose hooks come before those of scripts, in
// mitmproxy's order.
func BeforeScripts(cfg Config) []Feature {
	return []Feature{
		{"block_list", NewBlockList(cfg.Options)},
		{"anticache", NewAnticache(cfg.Options)},
		{"anticomp", NewAnticomp(cfg.Options)},
	}
}

// AfterScripts returns the features whose hooks come after those of scripts and
// after server replay, in mitmproxy's order.
func AfterScripts(cfg Config) []Feature {
	return []Feature{
		{"map_remote", NewMapRemote(cfg.Options)},
		{"map_local", NewMapLocal(cfg.Options, cfg.Expand)},
		{"modify_body", NewModifyBody(cfg.Options, cfg.Expand)},
		{"modify_headers", NewModifyHeaders(cfg.Options, cfg.Expand)},
		{"stickyauth", NewStickyAuth(cfg.Options)},
		{"stickycookie", NewStickyCookie(cfg.Options)},
	}
}

// featureOptions are the options of both.
func featureOptions() []option.Option {
	return []option.Option{
		blockListOption(), anticacheOption(), anticompOption(), mapRemoteOption(), mapLocalOption(),
		modifyBodyOption(), modifyHeadersOption(), stickyAuthOption(), stickyCookieOption(),
	}
}
