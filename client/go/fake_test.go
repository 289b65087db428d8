package switchboard_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc"

	switchboard "github.com/switchboard-ai/switchboard/client/go"
	pb "github.com/switchboard-ai/switchboard/client/go/switchboard/v1"
)

// fake is a server with the behaviour that a test defines.
type fake struct {
	pb.UnimplementedConverseServiceServer
	calls    atomic.Int32
	converse func(context.Context) (*pb.ConverseResponse, error)
	stream   func(grpc.ServerStreamingServer[pb.ConverseStreamResponse]) error
}

func (f *fake) Converse(ctx context.Context, _ *pb.ConverseRequest) (*pb.ConverseResponse, error) {
	f.calls.Add(1)
	return f.converse(ctx)
}

func (f *fake) ConverseStream(
	_ *pb.ConverseRequest, events grpc.ServerStreamingServer[pb.ConverseStreamResponse],
) error {
	f.calls.Add(1)
	return f.stream(events)
}

// listen serves the fake until the test ends.
func (f *fake) listen(t *testing.T, options ...grpc.ServerOption) string {
	t.Helper()
	server := grpc.NewServer(options...)
	pb.RegisterConverseServiceServer(server, f)
	return serveWith(t, server)
}

// serveWith serves on a free port until the test ends.
func serveWith(t *testing.T, server *grpc.Server) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	t.Cleanup(server.Stop)
	return listener.Addr().String()
}

// playing returns a client of a fake that streams these events and then ends with err.
func playing(t *testing.T, err error, events ...*pb.ConverseStreamResponse) *switchboard.Client {
	t.Helper()
	fake := &fake{stream: func(out grpc.ServerStreamingServer[pb.ConverseStreamResponse]) error {
		for _, event := range events {
			if err := out.Send(event); err != nil {
				return err
			}
		}
		return err
	}}
	return connect(t, fake.listen(t))
}

// authority is a certificate authority.
type authority struct {
	t    *testing.T
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
	pem  []byte
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{t: t, key: newKey(t)}
	template := certificate("an authority")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, &a.key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	if a.cert, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	a.pem = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return a
}

// identity returns a certificate for the loopback address and its key, in PEM.
func (a *authority) identity(name string) (cert, key []byte) {
	a.t.Helper()
	own := newKey(a.t)
	template := certificate(name)
	template.IPAddresses = []net.IP{net.IPv4(127, 0, 0, 1)}
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, &own.PublicKey, a.key)
	if err != nil {
		a.t.Fatal(err)
	}
	bare, err := x509.MarshalPKCS8PrivateKey(own)
	if err != nil {
		a.t.Fatal(err)
	}
	cert = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})
	return cert, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: bare})
}

func (a *authority) keyPair(name string) tls.Certificate {
	a.t.Helper()
	pair, err := tls.X509KeyPair(a.identity(name))
	if err != nil {
		a.t.Fatal(err)
	}
	return pair
}

func newKey(t *testing.T) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func certificate(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()),
		Subject:      pkix.Name{CommonName: name},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
}
