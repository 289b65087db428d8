package switchboard_test

// Tests with a fake server, for behaviour that neither Switchboard nor the simulator shows on request.

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/trace"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	grpcmetadata "google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/protoadapt"
	"google.golang.org/protobuf/types/known/durationpb"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

func TestAStreamWithoutMetadataIsIncomplete(t *testing.T) {
	client := playing(t, nil, route("one"), text(0, "Half an ans"))

	var got string
	var last error
	for part, err := range stream(t, client, switchboard.Ask("", "Hi")).Text() {
		got, last = got+part, err
	}

	failure := switchboard.AsError(last)
	if got != "Half an ans" || failure == nil || failure.Kind != switchboard.KindIncomplete {
		t.Fatalf("%q, %v", got, last)
	}
}

func TestReturnsEventsNewerThanTheContract(t *testing.T) {
	stream := stream(t, playing(t, nil, &pb.ConverseStreamResponse{}, metadata()), switchboard.Ask("", "Hi"))

	first, err := stream.Recv()
	if err != nil || first.GetEvent() != nil {
		t.Fatalf("%v, %v", first, err)
	}
	if second, err := stream.Recv(); err != nil || second.GetMetadata() == nil {
		t.Fatalf("%v, %v", second, err)
	}
	for range 2 {
		if third, err := stream.Recv(); err != io.EOF {
			t.Fatalf("%v, %v", third, err)
		}
	}
}

func TestTextFailsIfARestartFollowsText(t *testing.T) {
	for name, it := range map[string]struct {
		before []*pb.ConverseStreamResponse
		want   string
		fails  bool
	}{
		"before the first text": {[]*pb.ConverseStreamResponse{route("one")}, "Whole.", false},
		"after text":            {[]*pb.ConverseStreamResponse{route("one"), text(0, "Half")}, "Half", true},
	} {
		t.Run(name, func(t *testing.T) {
			events := append(it.before, restart(), route("two"), text(0, "Whole."), metadata())
			var got string
			var last error

			for part, err := range stream(t, playing(t, nil, events...), switchboard.Ask("", "Hi")).Text() {
				got, last = got+part, err
			}

			failure := switchboard.AsError(last)
			if got != it.want || (failure != nil) != it.fails {
				t.Fatalf("%q, %v", got, last)
			}
			if it.fails && (failure.Kind != switchboard.KindRestarted || failure.ReasonText != "MODEL_ERROR" ||
				failure.Reason != pb.ErrorReason_ERROR_REASON_MODEL_ERROR) {
				t.Fatalf("%+v", failure)
			}
		})
	}
}

func TestAnErrorHasReasonDelayRequestIDAndAttempts(t *testing.T) {
	attempts := []*pb.Attempt{
		{ModelId: "one", Reason: pb.ErrorReason_ERROR_REASON_BEDROCK_THROTTLED},
		{ModelId: "two", Reason: pb.ErrorReason_ERROR_REASON_MODEL_TIMEOUT},
	}
	throttled := detailed(t, codes.ResourceExhausted, "Bedrock throttles every model",
		&errdetails.ErrorInfo{Reason: "BEDROCK_THROTTLED", Domain: "switchboard"},
		&errdetails.RequestInfo{RequestId: "call-1"},
		&errdetails.RetryInfo{RetryDelay: durationpb.New(2 * time.Second)},
		&pb.Route{Attempts: attempts})

	_, err := stream(t, playing(t, throttled), switchboard.Ask("", "Hi")).CollectMessage()

	var failure *switchboard.Error
	if !errors.As(err, &failure) || failure.Kind != switchboard.KindStatus {
		t.Fatalf("%v", err)
	}
	after, waitingHelps := failure.RetryAfter()
	if failure.Reason != pb.ErrorReason_ERROR_REASON_BEDROCK_THROTTLED || after != 2*time.Second || !waitingHelps {
		t.Fatalf("%+v", failure)
	}
	if failure.RequestID != "call-1" || failure.Route.GetAttempts()[1].GetReason() != pb.ErrorReason_ERROR_REASON_MODEL_TIMEOUT {
		t.Fatalf("%+v", failure)
	}
	if err.Error() != "Bedrock throttles every model (BEDROCK_THROTTLED)" || status.Code(err) != failure.Code {
		t.Fatalf("%v", err)
	}
}

func TestKeepsTheTextOfAReasonNewerThanTheContract(t *testing.T) {
	newer := detailed(t, codes.Unavailable, "no", &errdetails.ErrorInfo{Reason: "MOON_PHASE", Domain: "switchboard"})

	failure := switchboard.AsError(fmt.Errorf("from a stub: %w", newer))

	if failure.Reason != pb.ErrorReason_ERROR_REASON_UNSPECIFIED || failure.ReasonText != "MOON_PHASE" {
		t.Fatalf("%+v", failure)
	}
	if _, waitingHelps := failure.RetryAfter(); waitingHelps {
		t.Fatalf("%+v", failure)
	}
	if switchboard.AsError(io.ErrUnexpectedEOF) != nil || switchboard.AsError(nil) != nil {
		t.Fatal("AsError converted an error that is not of a call")
	}
}

func TestDoesNotRetryAnError(t *testing.T) {
	for _, code := range []codes.Code{codes.Unavailable, codes.Internal, codes.ResourceExhausted, codes.DeadlineExceeded} {
		t.Run(code.String(), func(t *testing.T) {
			fake := &fake{converse: func(context.Context) (*pb.ConverseResponse, error) { return nil, status.Error(code, "no") }}
			client := connect(t, fake.listen(t))

			_, err := client.Text(t.Context(), "", "Hi")

			if status.Code(err) != code || fake.calls.Load() != 1 {
				t.Fatalf("%d calls: %v", fake.calls.Load(), err)
			}
		})
	}
}

func TestABrokenConnectionIsAnError(t *testing.T) {
	begun := make(chan struct{})
	fake := &fake{stream: func(out grpc.ServerStreamingServer[pb.ConverseStreamResponse]) error {
		_ = out.Send(text(0, "Half an ans"))
		close(begun)
		<-out.Context().Done()
		return nil
	}}
	server := grpc.NewServer()
	pb.RegisterConverseServiceServer(server, fake)
	client := connect(t, serveWith(t, server))
	stream := stream(t, client, switchboard.Ask("", "Hi"))
	if _, err := stream.Recv(); err != nil {
		t.Fatal(err)
	}

	<-begun
	server.Stop()
	_, err := stream.Recv()

	if failure := switchboard.AsError(err); failure == nil || failure.Kind != switchboard.KindTransport {
		t.Fatalf("%v", err)
	}
}

func TestAcceptsAnswersLargerThanTheDefaultOfGRPC(t *testing.T) {
	long := strings.Repeat("Zürich 東京 🦀 ", 1<<20)
	fake := &fake{converse: func(context.Context) (*pb.ConverseResponse, error) {
		output := &pb.ConverseOutput_Message{Message: switchboard.Assistant(long)}
		return &pb.ConverseResponse{Output: &pb.ConverseOutput{Output: output}}, nil
	}}

	text, err := connect(t, fake.listen(t)).Text(t.Context(), "", "Hi")

	if err != nil || text != long {
		t.Fatalf("%d bytes of %d, %v", len(text), len(long), err)
	}
}

func TestSendsTheTokenAndTheTraceContext(t *testing.T) {
	headers := make(chan grpcmetadata.MD, 2)
	fake := &fake{
		converse: func(ctx context.Context) (*pb.ConverseResponse, error) {
			it, _ := grpcmetadata.FromIncomingContext(ctx)
			headers <- it
			return &pb.ConverseResponse{}, nil
		},
		stream: func(out grpc.ServerStreamingServer[pb.ConverseStreamResponse]) error {
			it, _ := grpcmetadata.FromIncomingContext(out.Context())
			headers <- it
			return out.Send(metadata())
		},
	}
	client := connect(t, fake.listen(t),
		switchboard.WithBearerToken("s3cret"), switchboard.WithPropagator(propagation.TraceContext{}))
	span := trace.NewSpanContext(trace.SpanContextConfig{
		TraceID: trace.TraceID{1}, SpanID: trace.SpanID{2}, TraceFlags: trace.FlagsSampled,
	})
	ctx := trace.ContextWithSpanContext(t.Context(), span)

	if _, err := client.Converse(ctx, switchboard.Ask("", "Hi")); err != nil {
		t.Fatal(err)
	}
	events, err := client.Stream(ctx, switchboard.Ask("", "Hi"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := events.CollectMessage(); err != nil {
		t.Fatal(err)
	}

	for range 2 {
		got := <-headers
		want := "00-01000000000000000000000000000000-0200000000000000-01"
		if fmt.Sprint(got["authorization"], got["traceparent"]) != fmt.Sprintf("[Bearer s3cret] [%s]", want) {
			t.Fatalf("%v", got)
		}
		if !strings.HasPrefix(got["user-agent"][0], "switchboard-client-go/") {
			t.Fatalf("%v", got)
		}
	}
}

func TestTLSTrustsOnlyTheGivenCertificates(t *testing.T) {
	authority := newAuthority(t)
	clients := x509.NewCertPool()
	clients.AddCert(authority.cert)
	fake := &fake{converse: func(context.Context) (*pb.ConverseResponse, error) { return &pb.ConverseResponse{}, nil }}
	address := fake.listen(t, grpc.Creds(credentials.NewTLS(&tls.Config{
		Certificates: []tls.Certificate{authority.keyPair("a server")},
		ClientAuth:   tls.RequireAndVerifyClientCert,
		ClientCAs:    clients,
	})))
	cert, key := authority.identity("a caller")
	ask := func(address string, options ...switchboard.Option) error {
		_, err := connect(t, address, options...).Text(t.Context(), "", "Hi")
		return err
	}

	trusted := switchboard.WithCACertificate(authority.pem)
	if err := ask(address, trusted, switchboard.WithClientCertificate(cert, key)); err != nil {
		t.Fatal(err)
	}
	for name, err := range map[string]error{
		"a caller without a certificate": ask(address, trusted),
		"an untrusted server":            ask("https://"+address, switchboard.WithClientCertificate(cert, key)),
		"a caller without TLS":           ask(address),
	} {
		failure := switchboard.AsError(err)
		if failure == nil || failure.Code != codes.Unavailable {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestRefusesInvalidOptions(t *testing.T) {
	ca := switchboard.WithCACertificate(newAuthority(t).pem)
	for name, connect := range map[string]func() (*switchboard.Client, error){
		"another scheme":        func() (*switchboard.Client, error) { return switchboard.Connect("ftp://gateway:1") },
		"no host":               func() (*switchboard.Client, error) { return switchboard.Connect("http://") },
		"a path":                func() (*switchboard.Client, error) { return switchboard.Connect("http://gateway/v1") },
		"a space":               func() (*switchboard.Client, error) { return switchboard.Connect("no host") },
		"certificates in plain": func() (*switchboard.Client, error) { return switchboard.Connect("http://gateway:1", ca) },
		"a CA that is not PEM": func() (*switchboard.Client, error) {
			return switchboard.Connect("gateway:1", switchboard.WithCACertificate([]byte("pem")))
		},
		"a key that is not PEM": func() (*switchboard.Client, error) {
			return switchboard.Connect("gateway:1", switchboard.WithClientCertificate([]byte("pem"), []byte("k3y")))
		},
		"a token with a newline": func() (*switchboard.Client, error) {
			return switchboard.Connect("gateway:1", switchboard.WithBearerToken("s3cret\n"))
		},
		"an empty token": func() (*switchboard.Client, error) {
			return switchboard.Connect("gateway:1", switchboard.WithBearerToken(""))
		},
		"a propagator of another kind": func() (*switchboard.Client, error) {
			return switchboard.Connect("gateway:1", switchboard.WithPropagator(notAPropagator{}))
		},
	} {
		_, err := connect()
		failure := switchboard.AsError(err)
		if failure == nil || failure.Kind != switchboard.KindOptions {
			t.Errorf("%s: %v", name, err)
		} else if text := err.Error(); strings.Contains(text, "s3cret") || strings.Contains(text, "k3y") {
			t.Errorf("%s: the error shows a secret: %v", name, err)
		}
	}
	for _, address := range []string{switchboard.DefaultAddress, "gateway:50051", "https://gateway", "http://[::1]:1/"} {
		if _, err := switchboard.Connect(address); err != nil {
			t.Errorf("%s: %v", address, err)
		}
	}
}

// notAPropagator has an Inject method with another carrier.
type notAPropagator struct{}

func (notAPropagator) Inject(context.Context, int) {}

func detailed(t *testing.T, code codes.Code, message string, details ...protoadapt.MessageV1) error {
	t.Helper()
	s, err := status.New(code, message).WithDetails(details...)
	if err != nil {
		t.Fatal(err)
	}
	return s.Err()
}
