package interop

import (
	"net"
	"os/exec"
	"strings"
	"testing"
)

// interopCases are those of gRPC's interop suite that need no cloud.
var interopCases = []string{
	"empty_unary", "large_unary", "client_streaming", "server_streaming", "ping_pong", "empty_stream",
	"timeout_on_sleeping_server", "cancel_after_begin", "cancel_after_first_response", "status_code_and_message",
	"special_status_message", "custom_metadata", "unimplemented_method", "unimplemented_service",
}

// TestGRPC: streams in both directions, trailers, cancelling, metadata.
func TestGRPC(t *testing.T) {
	server := needProgram(t, "grpc-interop-server", "go install google.golang.org/grpc/interop/server@v1.85.0, and call it so")
	client := needProgram(t, "grpc-interop-client", "go install google.golang.org/grpc/interop/client@v1.85.0, and call it so")
	o := newOrigin(t)
	x := startTap(t, o)
	l, err := net.Listen("tcp", ":0") // the interop server listens everywhere
	if err != nil {
		t.Fatal(err)
	}
	p := port(l.Addr().String())
	l.Close()
	out := newOutput()
	cmd := exec.Command(server, "-port", p, "-use_tls", "-tls_cert_file", o.certFile, "-tls_key_file", o.keyFile)
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = cmd.Process.Kill(); _ = cmd.Wait() })
	waitPort(t, originIP+":"+p)
	for _, name := range interopCases {
		t.Run(name, func(t *testing.T) {
			text, err := try(t, []string{"HTTPS_PROXY=http://" + x.addr, "GRPC_GO_LOG_SEVERITY_LEVEL=error"}, client,
				"-server_host", originName, "-server_port", p, "-use_tls", "-use_test_ca", "-ca_file", x.caFile, "-test_case", name)
			if err != nil {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
	if n := strings.Count(x.flows.String(), "/grpc.testing.TestService/"); n < 10 {
		t.Errorf("only %d calls were seen", n)
	}
}
