package addon

import (
	"fmt"

	"moontap/proxy/option"
)

// replayOptions are those of package replay.
func replayOptions() []option.Option {
	return append(clientReplayOptions(), serverReplayOptions()...)
}

func clientReplayOptions() []option.Option {
	return []option.Option{
		{
			Name: "client_replay", Kind: option.Strings, Default: []string(nil),
			Help: "Send the requests of the flows in these files again, at the start and when it is set.",
		},
		{
			Name: "client_replay_concurrency", Kind: option.Int, Default: 1, Check: checkConcurrency,
			Help: "How many requests of a replay may be under way at once; -1 for as many as there are, up to 256.",
		},
		{
			Name: "client_replay_pace", Kind: option.Choice, Default: "none", Choices: []string{"none", "original"},
			Help: "When a replay begins requests: none, as soon as client_replay_concurrency allows; original, with the " +
				"time between them that there was, at the earliest.",
		},
	}
}

func serverReplayOptions() []option.Option {
	ignore := func(name, what string) option.Option {
		return option.Option{
			Name: "server_replay_ignore_" + name, Kind: option.Bool, Default: false,
			Help: "In server replay, take a recorded response also when the request has another " + what + ".",
		}
	}
	return []option.Option{
		{
			Name: "server_replay", Kind: option.Strings, Default: []string(nil),
			Help: "Answer requests with the responses recorded in these files, each once, in order.",
		},
		{
			Name: "server_replay_extra", Kind: option.Choice, Default: "forward",
			Choices: []string{"forward", "kill", "204", "400", "404", "500"},
			Help: "What server replay does with requests for which it has no response, also when all were served: " +
				"forward to the server, kill, or answer with this status.",
		},
		{
			Name: "server_replay_kill_extra", Kind: option.Bool, Default: false,
			Help: "The same as server_replay_extra kill.",
		},
		{
			Name: "server_replay_reuse", Kind: option.Bool, Default: false,
			Help: "In server replay, keep responses after they were served: the first that fits is served again and again.",
		},
		{
			Name: "server_replay_nopop", Kind: option.Bool, Default: false,
			Help: "The same as server_replay_reuse.",
		},
		{
			Name: "server_replay_refresh", Kind: option.Bool, Default: true,
			Help: "In server replay, shift Date, Expires, Last-Modified and the expiry of cookies by the age of the recording.",
		},
		{
			Name: "server_replay_use_headers", Kind: option.Strings, Default: []string(nil),
			Help: "Names of header fields of requests that must be the same for server replay.",
		},
		ignore("content", "body"),
		ignore("host", "host"),
		ignore("port", "port"),
		{
			Name: "server_replay_ignore_params", Kind: option.Strings, Default: []string(nil),
			Help: "Names in query strings of requests that need not be the same for server replay.",
		},
		{
			Name: "server_replay_ignore_payload_params", Kind: option.Strings, Default: []string(nil),
			Help: "Names in forms, URL-encoded or multipart, that need not be the same for server replay.",
		},
	}
}

func checkConcurrency(v any) error {
	if n, _ := v.(int); n != -1 && (n < 1 || n > 256) {
		return fmt.Errorf("%d is neither -1 nor from 1 to 256", n)
	}
	return nil
}
